#!/usr/bin/python3 -B
"""Calls that are forwarded to controllers."""

import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import h2
import lib

TCP = "daemon.listen=127.0.0.1:0"
GZIP = 2  # GRPC_COMPRESS_GZIP

to_n1 = lib.to("n1")


class Forward(lib.Case):
    def start(self, serve=lib.echo, **kwargs):
        """A registry, a controller "n1", and a channel to the registry."""
        self.registry = self.daemon(TCP)
        self.n1 = self.controller(serve, **kwargs)
        self.client = self.channel(self.registry)
        self.client.register("n1", self.n1.address)


class Compression(Forward):
    def test_compressed_messages_arrive_whole(self):
        self.start(grpc__default_compression_algorithm=GZIP)
        client = self.channel(
            self.registry, grpc__default_compression_algorithm=GZIP
        )
        sent = [b"a" * 5000, b"", os.urandom(5000), b"b" * 100000]
        received = client.stream("/t/Echo", sent, metadata=to_n1)
        self.assertEqual(list(received), sent)

    def test_so_do_those_of_methods_that_are_served_here(self):
        registry = self.daemon(TCP, "controller.here.plane=null")
        n1 = self.controller(lambda call: [b"".join(call.requests)])
        c = self.channel(registry, grpc__default_compression_algorithm=GZIP)
        c.register("n1", n1.address)
        method = lib.CONTROLLER + "UnmapVolume"
        request = lib.message("v" * 1000)
        reply = c.unary(method, request, metadata=to_n1)
        self.assertEqual(reply, request)

        raw = h2.connect(registry.address)
        self.addCleanup(raw.close)
        headers = h2.request_headers(method, *to_n1, ("grpc-encoding", "gzip"))
        stream = raw.request(headers, h2.grpc_message(b"bad", compressed=True))
        code, _ = raw.read_end(stream)
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT.value[0])

    def test_a_reply_that_is_not_what_it_says_is_named(self):
        self.start()
        self.n1.stop()
        listener = socket.create_server(
            ("127.0.0.1", int(self.n1.address.split(":")[1]))
        )
        self.addCleanup(listener.close)
        call = self.client.start("/t/Any", b"", metadata=to_n1)
        n1 = h2.accept(listener)
        self.addCleanup(n1.close)
        stream = n1.read_until(lambda f: f.type == h2.DATA).stream
        headers = h2.encode(
            [
                (":status", "200"),
                ("content-type", "application/grpc"),
                ("grpc-encoding", "gzip"),
            ]
        )
        n1.send(h2.HEADERS, h2.END_HEADERS, stream, headers)
        n1.data(stream, h2.grpc_message(b"bad", compressed=True))
        with self.assertFails("INTERNAL", 'controller "n1": the message'):
            call.result()


class Ids(Forward):
    """Which controller a call is for."""

    def call(self, *metadata):
        return self.client.unary("/t/Echo", b"hello", metadata=metadata)

    def test_a_controller_that_is_not_registered_is_unavailable(self):
        self.start()
        for i in "n2", "", "a/b", "a/address", "n1 ", "x" * 254, "x" * 2000:
            with self.subTest(i[:20]):
                with self.assertFails("UNAVAILABLE", i + ": not registered"):
                    self.call(("controllerid", i))

    def test_a_value_of_the_registry_is_not_an_address(self):
        self.start()
        value = lib.message("n1/sub/address", self.n1.address)
        self.client.unary(lib.REGISTRY + "SetValue", lib.field(1, value))
        with self.assertFails("UNAVAILABLE", "n1/sub: not registered"):
            self.call(("controllerid", "n1/sub"))

    def test_an_id_given_twice_is_fine_if_it_is_the_same(self):
        self.start()
        twice = ("controllerid", "n1"), ("controllerid", "n1")
        self.assertEqual(self.call(*twice), b"hello")
        both = ("controllerid", "n1"), ("controllerid-bin", b"n1")
        self.assertEqual(self.call(*both), b"hello")

    def test_two_different_ids_are_refused(self):
        self.start()
        for other in ("controllerid", "n2"), ("controllerid-bin", b"n2"):
            for metadata in (to_n1 + (other,), (other,) + to_n1):
                with self.subTest(metadata):
                    with self.assertFails("INVALID_ARGUMENT", "several"):
                        self.call(*metadata)

    def test_an_id_that_is_not_ascii_comes_in_the_binary_key(self):
        self.start()
        name = "n\u00f6rdlich \u5317"
        self.client.register(name, self.n1.address)
        metadata = ("controllerid-bin", name.encode())
        self.assertEqual(self.call(metadata), b"hello")
        self.assertIn(metadata, self.n1.calls[0].metadata)

    def test_an_id_that_is_not_text_is_refused(self):
        self.start()
        for value in b"n1\0", b"\xff", b"n1\0n2", b"\xc0\x80":
            with self.subTest(value):
                with self.assertFails("INVALID_ARGUMENT", "not text"):
                    self.call(("controllerid-bin", value))


class Metadata(Forward):
    SENT = (
        ("x-once", "1"),
        ("x-again", "b"),
        ("x-again", "a"),
        ("x-again", "b"),
        ("x-empty", ""),
        ("x-spaced", "a  b"),
        ("x-all-bin", bytes(range(256))),
        ("x-all-bin", b""),
    )

    def assertHas(self, received):
        """What was sent is there, in its order."""
        keys = {k for k, _ in self.SENT}
        found = [(k, v) for k, v in received if k in keys]
        self.assertEqual(found, list(self.SENT))

    def test_the_controller_gets_what_the_client_sent(self):
        self.start()
        self.client.unary("/t/Echo", b"", metadata=to_n1 + self.SENT)
        call = self.n1.calls[0]
        self.assertHas(call.metadata)
        self.assertEqual(call.values("controllerid"), ["n1"])
        self.assertEqual(call.values("oim-hops"), ["1"])

    def test_the_client_gets_headers_and_trailers(self):
        def serve(call):
            call.context.send_initial_metadata(self.SENT)
            call.context.set_trailing_metadata(self.SENT)
            yield b"reply"

        self.start(serve)
        _, call = self.client.with_call("/t/Any", b"", metadata=to_n1)
        self.assertHas(call.initial_metadata())
        self.assertHas(call.trailing_metadata())

    def test_errors_come_with_all_that_the_controller_said(self):
        words = 'n\u00e9 100% "x" \U0001f600\nsecond line'
        details = ("grpc-status-details-bin", bytes(range(256)))

        def serve(call):
            if call.method == "/t/Late":
                call.context.send_initial_metadata(self.SENT)
                yield b"one"
            code = grpc.StatusCode.DATA_LOSS
            call.abort(code, words, details, *self.SENT)

        self.start(serve)
        for method in "/t/Early", "/t/Late":
            with self.subTest(method):
                with self.assertFails("DATA_LOSS", words) as caught:
                    list(self.client.download(method, b"", metadata=to_n1))
                trailers = caught.exception.trailing_metadata()
                self.assertIn(details, [tuple(t) for t in trailers])
                self.assertHas(trailers)

    def test_unavailable_stays_what_the_controller_called_so(self):
        def serve(call):
            code = grpc.StatusCode.UNAVAILABLE
            call.abort(code, "the plane is away", ("x-once", "1"))
            yield

        self.start(serve)
        for _ in range(3):
            with self.assertFails("UNAVAILABLE") as caught:
                self.client.unary("/t/Any", b"", metadata=to_n1)
            e = caught.exception
            self.assertEqual(e.details(), "the plane is away")
            self.assertIn(("x-once", "1"), list(e.trailing_metadata()))
        self.assertEqual(self.n1.connections(), 1)

    def test_every_code_passes(self):
        def serve(call):
            code = grpc.StatusCode[call.method.rpartition("/")[2]]
            call.abort(code, "words")
            yield

        self.start(serve)
        for code in grpc.StatusCode:
            if code != grpc.StatusCode.OK:
                with self.assertFails(code.name, "words"):
                    self.client.unary("/t/" + code.name, b"", metadata=to_n1)


class Time(Forward):
    """Deadlines and cancellation."""

    def hang(self, call):
        call.wait_for_end()
        yield from ()

    def test_the_controller_gets_the_time_that_is_left(self):
        self.start()
        self.client.unary("/t/Echo", b"", timeout=20, metadata=to_n1)
        self.assertLess(self.n1.calls[0].remaining, 21)
        self.assertGreater(self.n1.calls[0].remaining, 10)

    def test_no_deadline_is_none(self):
        self.start()
        self.client.unary("/t/Echo", b"", timeout=None, metadata=to_n1)
        self.assertGreater(self.n1.calls[0].remaining, 1e9)

    def test_a_deadline_that_passes_ends_the_call_on_both_sides(self):
        self.start(self.hang)
        with self.assertQuick(2):
            with self.assertFails("DEADLINE_EXCEEDED"):
                self.client.unary("/t/Any", b"", timeout=0.2, metadata=to_n1)
        self.n1.wait_for_call().wait_for_end()

    def test_a_deadline_of_the_past_is_no_harm(self):
        self.start()
        with self.assertFails("DEADLINE_EXCEEDED"):
            self.client.unary("/t/Echo", b"", timeout=1e-9, metadata=to_n1)
        self.client.unary("/t/Echo", b"", metadata=to_n1)

    def test_a_client_that_cancels_is_heard_by_the_controller(self):
        self.start(self.hang)
        call = self.client.start("/t/Any", b"", metadata=to_n1)
        served = self.n1.wait_for_call()
        call.cancel()
        served.wait_for_end()

    def test_a_client_that_disappears_is_heard_by_the_controller(self):
        self.start(self.hang)
        client = h2.connect(self.registry.address)
        client.request(h2.request_headers("/t/Any", *to_n1))
        served = self.n1.wait_for_call()
        client.abort()
        served.wait_for_end()


class Absence(lib.Case):
    """Controllers that are not there, or not any more."""

    def setUp(self):
        super().setUp()
        self.registry = self.daemon(TCP)
        self.client = self.channel(self.registry)

    def process(self, address="127.0.0.1:0"):
        p = lib.ControllerProcess(address)
        self.addCleanup(p.stop)
        return p

    def call(self, method="/t/Echo", **kwargs):
        return self.client.unary(method, b"hi", metadata=to_n1, **kwargs)

    def test_an_absent_controller_is_unavailable_at_once(self):
        address = "127.0.0.1:%d" % lib.free_port()
        self.client.register("n1", address)
        for _ in range(5):
            words = 'controller "n1" at "%s" does not answer' % address
            with self.assertQuick(), self.assertFails("UNAVAILABLE", words):
                self.call()

    def test_an_absent_socket_is_unavailable_at_once(self):
        self.client.register("n1", "unix:" + self.path("none"))
        with self.assertQuick(), self.assertFails("UNAVAILABLE", "none"):
            self.call()

    def test_a_controller_that_comes_back_is_used_at_once(self):
        address = "127.0.0.1:%d" % lib.free_port()
        self.client.register("n1", address)
        for _ in range(3):
            with self.assertFails("UNAVAILABLE"):
                self.call()
            n1 = self.process(address)
            with self.assertQuick():
                self.assertEqual(self.call(), b"hi")
            n1.kill()

    def test_a_controller_that_dies_ends_its_calls_at_once(self):
        n1 = self.process()
        self.client.register("n1", n1.address)
        call = self.client.start("/t/Hang", b"", metadata=to_n1)
        n1.wait_for_call()
        n1.kill()
        with self.assertQuick(), self.assertFails("UNAVAILABLE"):
            call.result()

    def test_a_controller_that_dies_ends_its_streams_at_once(self):
        n1 = self.process()
        self.client.register("n1", n1.address)
        requests = lib.Requests()
        replies = self.client.stream("/t/Echo", requests, metadata=to_n1)
        requests.send(b"hi")
        self.assertEqual(next(replies), b"hi")
        n1.kill()
        with self.assertQuick(), self.assertFails("UNAVAILABLE"):
            next(replies)
        requests.close()

    def test_a_connection_that_is_cut_is_made_again(self):
        gate = self.gate(self.controller(lib.echo))
        self.client.register("n1", gate.address)
        before = self.registry.fds()
        for _ in range(3):
            self.assertEqual(self.call(), b"hi")
            gate.cut()
            lib.wait_until(lambda: self.registry.fds() == before)
        self.assertEqual(gate.accepted, 3)

    def test_a_controller_that_hangs_ends_with_the_deadline_only(self):
        gate = self.gate(self.controller(lib.echo))
        self.client.register("n1", gate.address)
        self.call()
        gate.hold()
        with self.assertQuick(2), self.assertFails("DEADLINE_EXCEEDED"):
            self.call(timeout=0.2)


class Connections(Forward):
    def call(self, controller="n1"):
        metadata = lib.to(controller)
        return self.client.unary("/t/Any", b"", metadata=metadata)

    def name(self, text):
        """A controller that answers with its name."""
        return self.controller(lambda call: [text])

    def test_one_address_is_one_connection(self):
        self.start()
        self.client.register("n2", self.n1.address)
        calls = [
            self.client.start("/t/Echo", b"", metadata=lib.to(n))
            for n in ["n1", "n2"] * 50
        ]
        for call in calls:
            call.result()
        other = self.channel(self.registry)
        other.unary("/t/Echo", b"", metadata=to_n1)
        self.assertEqual(self.n1.connections(), 1)

    def test_a_new_address_is_used_by_the_next_call(self):
        self.start(lambda call: [b"old"])
        self.assertEqual(self.call(), b"old")
        self.client.register("n1", self.name(b"new").address)
        self.assertEqual(self.call(), b"new")
        self.client.register("n1", self.n1.address)
        self.assertEqual(self.call(), b"old")

    def test_a_stream_survives_the_change_of_its_address(self):
        self.start()
        requests = lib.Requests()
        replies = self.client.stream("/t/Echo", requests, metadata=to_n1)
        requests.send(b"one")
        self.assertEqual(next(replies), b"one")
        self.client.register("n1", self.name(b"new").address)
        self.assertEqual(self.call(), b"new")
        requests.send(b"two")
        requests.close()
        self.assertEqual(list(replies), [b"two"])

    def test_what_is_unregistered_is_unavailable(self):
        self.start()
        self.call()
        self.client.register("n1", "")
        with self.assertFails("UNAVAILABLE", "n1: not registered"):
            self.call()

    def test_the_connection_to_an_old_address_is_closed(self):
        self.start()
        self.call()
        one = self.registry.fds()
        for gate in [self.gate(self.n1) for _ in range(10)]:
            self.client.register("n1", gate.address)
            self.call()
            self.assertEqual(gate.accepted, 1)
        lib.wait_until(lambda: self.registry.fds() <= one)


class Addresses(Forward):
    def call(self):
        return self.client.unary("/t/Echo", b"hi", metadata=to_n1)

    def test_these_can_be_dialled(self):
        self.start()
        port = self.n1.address.rpartition(":")[2]
        path = self.path("n1.sock")
        self.controller(lib.echo, "unix:" + path)
        for address in (
            "127.0.0.1:" + port,
            "localhost:" + port,
            "dns:///localhost:" + port,
            "dns:127.0.0.1:" + port,
            "ipv4:127.0.0.1:" + port,
            "unix:" + path,
            "unix://" + path,
        ):
            with self.subTest(address):
                self.client.register("n1", address)
                self.assertEqual(self.call(), b"hi")

    def test_others_may_be_registered_and_are_unavailable(self):
        self.start()
        for address in (
            "foo://bar",
            "tcp://127.0.0.1:8999",
            "ipv4:///oim-controller:8999",
            "bogus",
            ":8999",
            "/run/sock",
            "unix:relative",
            "xds:///service",
            "vsock:1:2",
            "unix-abstract:name",
            "127.0.0.1:99999",
            " ",
        ):
            with self.subTest(address):
                self.client.register("n1", address)
                self.assertEqual(self.client.entries(), {"n1": address})
                for word in address, "unix:/path", "host:port":
                    with self.assertFails("UNAVAILABLE", word):
                        self.call()


class Chains(lib.Case):
    """Registries that forward to registries."""

    def chain(self, n):
        """The last of n registries, and the first."""
        daemons = [self.daemon(TCP) for _ in range(n)]
        for a, b in zip(daemons, daemons[1:]):
            self.channel(a).register("n1", b.address)
        return daemons[-1], daemons[0]

    def test_a_call_may_pass_three_registries(self):
        n1 = self.controller(lib.echo)
        last, first = self.chain(3)
        self.channel(last).register("n1", n1.address)
        reply = self.channel(first).unary("/t/Echo", b"hi", metadata=to_n1)
        self.assertEqual(reply, b"hi")
        self.assertEqual(n1.calls[0].values("oim-hops"), ["3"])

    def test_more_are_taken_for_a_loop(self):
        n1 = self.controller(lib.echo)
        last, first = self.chain(4)
        self.channel(last).register("n1", n1.address)
        with self.assertFails("UNAVAILABLE", "forwarded 3 times"):
            self.channel(first).unary("/t/Echo", b"hi", metadata=to_n1)
        self.assertEqual(n1.calls, [])

    def test_a_loop_ends(self):
        for n in 1, 2:
            with self.subTest(n):
                last, first = self.chain(n)
                self.channel(last).register("n1", first.address)
                words = "registries point at each other"
                with self.assertQuick(), self.assertFails("UNAVAILABLE", words):
                    self.channel(first).unary("/t/Any", b"", metadata=to_n1)

    def test_the_count_is_not_taken_from_whoever_makes_it_up(self):
        n1 = self.controller(lib.echo)
        last, _ = self.chain(1)
        c = self.channel(last)
        c.register("n1", n1.address)
        for made_up in "x", "":
            c.unary("/t/Echo", b"", metadata=to_n1 + (("oim-hops", made_up),))
            self.assertEqual(n1.calls[-1].values("oim-hops"), ["1"])
        for made_up in "3", "-1", "99999999999999999999999":
            with self.assertFails("UNAVAILABLE", "forwarded"):
                metadata = to_n1 + (("oim-hops", made_up),)
                c.unary("/t/Echo", b"", metadata=metadata)


class RawForward(lib.Case):
    """A registry between HTTP/2 by hand on both sides."""

    def setUp(self):
        super().setUp()
        self.registry = self.daemon(TCP)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.channel(self.registry).register("n1", address)
        self.client = h2.connect(self.registry.address)
        self.addCleanup(self.client.close)

    def start(self, *headers, body=h2.grpc_message(b"one"), end=False):
        """Begins a call; the controller has it when this returns."""
        all_headers = h2.request_headers(
            "/t/Stream", ("controllerid", "n1"), *headers
        )
        self.stream = self.client.request(all_headers, body, end)
        self.n1 = h2.accept(self.listener)
        self.addCleanup(self.n1.close)
        self.n1_stream = self.n1.read_until(lambda f: f.type == h2.DATA).stream

    def frames_to_n1(self):
        """What else the controller gets of the call, up to its end."""
        frames = []
        while not frames or frames[-1].type != h2.RST_STREAM:
            frames.append(
                self.n1.read_until(lambda f: f.stream == self.n1_stream)
            )
            if frames[-1].flags & h2.END_STREAM:
                break
        return frames


class BrokenRequests(RawForward):
    """A stream that breaks off must not look like one that is complete."""

    def assertCancelled(self):
        self.assertEqual(
            [f.type for f in self.frames_to_n1()], [h2.RST_STREAM]
        )

    def test_a_stream_that_ends_is_ended(self):
        self.start()
        self.client.data(self.stream, b"", end=True)
        frames = self.frames_to_n1()
        self.assertEqual(frames[-1].type, h2.DATA)
        self.assertTrue(frames[-1].flags & h2.END_STREAM)

    def test_a_cancelled_stream_is_not_ended(self):
        self.start()
        self.client.reset(self.stream)
        self.assertCancelled()

    def test_a_stream_of_a_lost_connection_is_not_ended(self):
        self.start()
        self.client.close()
        self.assertCancelled()

    def test_a_stream_whose_deadline_passes_is_not_ended(self):
        self.start(("grpc-timeout", "100m"))
        self.assertCancelled()

    def test_a_stream_with_too_large_a_message_is_not_ended(self):
        self.start()
        self.client.upload(
            self.stream, h2.grpc_message(bytes(5 << 20)), end=False
        )
        self.assertCancelled()
        code, words = self.client.read_end(self.stream)
        self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        self.assertIn("4194304", words)

    def test_a_stream_with_a_damaged_message_is_not_ended(self):
        self.start(("grpc-encoding", "gzip"))
        self.client.data(self.stream, h2.grpc_message(b"bad", compressed=True))
        self.assertCancelled()
        code, _ = self.client.read_end(self.stream)
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT.value[0])


class IllegalMetadata(RawForward):
    """Core takes headers that it refuses to send: nothing may hang on them."""

    ILLEGAL = [("x", b"\xc3\xa9"), ("x", b"a\0b"), ("x", b"\n"), ("x y", b"a")]

    def answer(self, headers=(), trailers=()):
        response = [(":status", "200"), ("content-type", "application/grpc")]
        response += headers
        end = [("grpc-status", "0"), *trailers]
        stream = self.n1_stream
        block = h2.encode(response)
        self.n1.send(h2.HEADERS, h2.END_HEADERS, stream, block)
        self.n1.data(stream, h2.grpc_message(b"reply"))
        flags = h2.END_HEADERS | h2.END_STREAM
        self.n1.send(h2.HEADERS, flags, stream, h2.encode(end))

    def test_illegal_metadata_of_a_client_is_refused(self):
        for key, value in self.ILLEGAL:
            with self.subTest(key + "=" + repr(value)):
                headers = h2.request_headers(
                    "/t/Stream", ("controllerid", "n1"), (key, value)
                )
                stream = self.client.request(headers, h2.grpc_message(b""))
                code, words = self.client.read_end(stream)
                expected = grpc.StatusCode.INVALID_ARGUMENT.value[0]
                self.assertEqual(code, expected)
                self.assertIn('"%s"' % key, words)

    def assertAnswered(self):
        self.assertEqual(self.client.read_end(self.stream), (0, ""))
        first, last = self.client.headers[self.stream]
        self.assertEqual(first.get("good"), "1")
        self.assertEqual(last.get("also"), "2")
        self.assertNotIn("x", {**first, **last})
        body = self.client.bytes[self.stream]
        self.assertEqual(body, h2.grpc_message(b"reply"))

    def test_illegal_headers_of_a_controller_are_left_out(self):
        self.start(end=True)
        self.answer([("good", "1"), *self.ILLEGAL], [("also", "2")])
        self.assertAnswered()

    def test_illegal_trailers_of_a_controller_are_left_out(self):
        self.start(end=True)
        self.answer([("good", "1")], [*self.ILLEGAL, ("also", "2")])
        self.assertAnswered()


if __name__ == "__main__":
    lib.main()
