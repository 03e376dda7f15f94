#!/usr/bin/python3
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
