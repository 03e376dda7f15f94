#!/usr/bin/python3 -B
"""gRPC and HTTP/2 as clients speak them, well and badly."""

import contextlib
import gzip
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import h2
import lib

TCP = "daemon.listen=127.0.0.1:0"
GZIP = 2  # GRPC_COMPRESS_GZIP
GET = lib.REGISTRY + "GetControllers"
REGISTER = lib.REGISTRY + "RegisterController"
INFO = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


class Raw(lib.Case):
    """A daemon, and HTTP/2 by hand."""

    def setUp(self):
        super().setUp()
        self.registry = self.daemon(TCP, "daemon.drain=200ms")

    def connect(self, **settings):
        c = h2.connect(self.registry.address, **settings)
        self.addCleanup(c.close)
        return c

    def call(self, path=GET, body=h2.grpc_message(b""), end=True, **kwargs):
        """The code by its name, and the words."""
        c = self.connect()
        headers = h2.request_headers(path, **kwargs)
        code, words = c.read_end(c.request(headers, body, end))
        return next(c.name for c in grpc.StatusCode if c.value[0] == code), words

    def assertAnswers(self):
        self.assertEqual(self.channel(self.registry).entries(), {})


class Methods(Raw):
    def test_an_unknown_method_is_unimplemented(self):
        for path in (
            "/oim.v0.Registry/NoSuch",
            "/oim.v0.registry/GetControllers",
            "/a.b.C/D",
            "/a/b/c",
            "/oim.v0.Controller/MapVolume",  # there is no controller here
        ):
            with self.subTest(path):
                code, words = self.call(path)
                self.assertEqual(code, "UNIMPLEMENTED")
                if "Controller/" not in path:
                    self.assertEqual(words, "unknown method " + path)

    def test_an_odd_path_is_no_harm(self):
        for path in "noslash", "/", "//", "/a", "a/", "/" + "x" * 6000, "*":
            with self.subTest(path[:10]):
                self.assertEqual(self.call(path)[0], "UNIMPLEMENTED")

    def test_any_authority_is_served(self):
        for authority in "oim", "127.0.0.1:1", "[::1]", "*", "a b":
            with self.subTest(authority):
                self.assertEqual(self.call(authority=authority)[0], "OK")

    def test_own_services_ignore_the_controller(self):
        c = self.channel(self.registry)
        for method in GET, lib.HEALTH + "Check":
            c.unary(method, b"", metadata=lib.to("nobody"))


class Requests(Raw):
    def assertRefused(self, request, words):
        body = h2.grpc_message(request)
        self.assertEqual(self.call(REGISTER, body), ("INVALID_ARGUMENT", words))

    def test_what_does_not_decode_is_refused(self):
        for bad in (
            b"\xff",
            b"\x0a\xff",
            b"\x0a\x05n1",
            b"\x00\x00",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ):
            with self.subTest(bad):
                words = "oim.v0.RegisterControllerRequest: malformed message"
                self.assertRefused(bad, words)

    def test_text_that_is_not_utf_8_is_refused(self):
        field = "oim.v0.RegisterControllerRequest.controller_id"
        for bad in b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90":
            with self.subTest(bad):
                words = field + ": text is not UTF-8"
                self.assertRefused(lib.message(b"n1" + bad, "a"), words)

    def test_text_with_a_nul_is_refused(self):
        words = "oim.v0.RegisterControllerRequest.address: text holds a NUL"
        self.assertRefused(lib.message("n1", "a\0b"), words)
        self.assertAnswers()

    def test_unknown_fields_are_ignored(self):
        request = lib.message("n1", "a", "unknown", 7)
        code, _ = self.call(REGISTER, h2.grpc_message(request))
        self.assertEqual(code, "OK")

    def test_a_call_without_a_request_is_refused(self):
        for body in None, b"", b"\0", b"\0\0\0\0\5abc":
            with self.subTest(body):
                code, words = self.call(body=body)
                self.assertEqual(code, "INTERNAL")
                self.assertEqual(words, "the request has no message")

    def test_a_request_is_answered_before_the_client_ends_its_side(self):
        self.assertEqual(self.call(end=False)[0], "OK")

    def test_a_request_may_come_in_pieces(self):
        c = self.connect()
        stream = c.request(h2.request_headers(GET), b"", end=False)
        for byte in h2.grpc_message(b""):
            c.data(stream, bytes([byte]))
        self.assertEqual(c.read_end(stream), (0, ""))

    def test_the_limit_is_named(self):
        c = self.channel(
            self.registry, grpc__max_send_message_length=-1
        )
        request = bytes(5 << 20)
        with self.assertFails("RESOURCE_EXHAUSTED", "(5242880 vs. 4194304)"):
            c.unary(GET, request)
        with self.assertFails("RESOURCE_EXHAUSTED", "(5242880 vs. 4194304)"):
            list(c.stream(INFO, [request]))
        self.assertAnswers()

    def test_a_reply_may_be_larger(self):
        c = self.channel(
            self.registry, grpc__max_receive_message_length=-1
        )
        address = "a" * 900000
        for i in range(6):
            c.register("n%d" % i, address)
        self.assertEqual(c.entries(), {"n%d" % i: address for i in range(6)})


class Headers(Raw):
    def test_many_entries_of_metadata_are_fine(self):
        metadata = [("x-%d" % i, str(i)) for i in range(150)]
        c = self.channel(self.registry)
        c.unary(GET, b"", metadata=metadata)

    def test_more_than_8_kilobytes_are_refused(self):
        c = self.channel(self.registry)
        with self.assertFails("RESOURCE_EXHAUSTED", "metadata"):
            c.unary(GET, b"", metadata=[("x", "a" * 9000)])
        self.assertAnswers()

    def test_a_deadline_may_have_any_form(self):
        for value in "1S", "99999999H", "99999999n", "1000000u", "5M":
            with self.subTest(value):
                c = self.connect()
                headers = h2.request_headers(GET, ("grpc-timeout", value))
                stream = c.request(headers, h2.grpc_message(b""))
                self.assertEqual(c.read_end(stream), (0, ""))

    def test_a_deadline_that_has_passed_ends_the_call(self):
        c = self.connect()
        headers = h2.request_headers(GET, ("grpc-timeout", "0n"))
        code, _ = c.read_end(c.request(headers, b"", end=False))
        self.assertEqual(code, grpc.StatusCode.DEADLINE_EXCEEDED.value[0])


class Blocked(Raw):
    """Clients that do not take their reply."""

    N = 50

    def block(self):
        """A client that does not let anything be sent, and its calls."""
        c = self.connect(settings=[(h2.INITIAL_WINDOW_SIZE, 0)])
        c.sync()
        headers = h2.request_headers(GET)
        streams = [
            c.request(headers, h2.grpc_message(b"")) for _ in range(self.N)
        ]
        c.sync()
        return c, streams

    def setUp(self):
        super().setUp()
        self.other = self.channel(self.registry)
        self.other.register("n1", "a" * 10000)
        entry = lib.message("n1", "a" * 10000)
        self.reply = h2.grpc_message(lib.field(1, entry))
        self.fds = self.registry.fds()

    def assertNothingLeft(self):
        lib.wait_until(lambda: self.registry.fds() <= self.fds)
        with self.assertQuick():  # a stop waits for calls that are left
            self.assertEqual(self.registry.stop(), 0)
        self.assertNotIn("cancelled", self.registry.log)

    def test_the_reply_comes_when_the_window_opens(self):
        c, streams = self.block()
        self.assertEqual(len(self.other.entries()), 1)
        self.assertEqual(c.bytes, {})
        c.open_window(0, 1 << 20)
        for stream in streams:
            c.open_window(stream, 5000)
        c.sync()
        for stream in streams:
            c.open_window(stream, 1 << 20)
        for stream in streams:
            if stream not in c.headers or c.status(stream)[0]:
                self.assertEqual(c.read_end(stream), (0, ""))
            self.assertEqual(c.bytes[stream], self.reply)
        c.close()
        self.assertNothingLeft()

    def test_calls_that_are_reset_are_gone(self):
        c, streams = self.block()
        for stream in streams:
            c.reset(stream)
        c.sync()
        c.close()
        self.assertNothingLeft()

    def test_calls_of_a_connection_that_is_gone_are_gone(self):
        for way in h2.Connection.close, h2.Connection.abort:
            c, _ = self.block()
            way(c)
        self.assertNothingLeft()

    def test_a_stop_does_not_wait_for_them_longer_than_it_may(self):
        c, _ = self.block()
        with self.assertQuick(5):
            self.assertEqual(self.registry.stop(), 0)
        self.assertIn("still under way are cancelled", self.registry.log)


class Pings(Raw):
    def test_pings_every_ten_seconds_are_welcome(self):
        """Four of them: core forgives two that come too soon."""
        c = self.connect()
        c.sync()
        for _ in range(3):
            time.sleep(10)
            c.sync()
        stream = c.request(h2.request_headers(GET), h2.grpc_message(b""))
        self.assertEqual(c.read_end(stream), (0, ""))

    def test_a_flood_of_pings_is_not(self):
        c = self.connect()
        # At once: who writes to a connection that has ended reads nothing more.
        c.sock.sendall(10 * h2.frame(h2.PING, 0, 0, b"whatever"))
        frame = c.read_until(lambda f: f.type == h2.GOAWAY)
        self.assertEqual(frame.payload[7], h2.ENHANCE_YOUR_CALM)
        self.assertIn(b"too_many_pings", frame.payload)
        self.assertAnswers()


class Nonsense(Raw):
    """What is not gRPC at all: it goes away, the daemon does not."""

    def send(self, data):
        """Until the daemon hangs up, or has read it all."""
        address = self.registry.address.split(":")
        with socket.create_connection(address, timeout=lib.PATIENCE) as s:
            with contextlib.suppress(ConnectionError):
                s.sendall(data)
                lib.hang_up(s, socket.SHUT_WR)
                while s.recv(65536):
                    pass

    def test_other_protocols(self):
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        for data in (
            b"",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            hello + bytes(500),
            bytes(10000),
            h2.PREFACE[:10],
            b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        ):
            with self.subTest(data[:10]):
                self.send(data)
                self.assertAnswers()

    def test_frames_that_make_no_sense(self):
        settings = h2.frame(h2.SETTINGS, 0, 0, b"")
        block = h2.encode(h2.request_headers(GET))
        f = h2.frame
        for name, frames in {
            "data without a stream": f(h2.DATA, 0, 1, b"x"),
            "data on stream 0": f(h2.DATA, 0, 0, b"x"),
            "headers on stream 0": f(h2.HEADERS, 4, 0, block),
            "headers on an even stream": f(h2.HEADERS, 5, 2, block),
            "headers that do not decode": f(h2.HEADERS, 5, 1, b"\xff" * 20),
            "headers that never end": f(h2.HEADERS, 0, 1, block),
            "continuation of nothing": f(h2.CONTINUATION, 4, 1, block),
            "no path": f(
                h2.HEADERS, 5, 1, h2.encode([(":method", "POST")])
            ),
            "no headers": f(h2.HEADERS, 5, 1, b""),
            "a window of 0": f(h2.WINDOW_UPDATE, 0, 0, bytes(4)),
            "a window beyond 2^31": 2
            * f(h2.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"),
            "settings of odd size": f(h2.SETTINGS, 0, 0, b"abc"),
            "a ping of odd size": f(h2.PING, 0, 0, b"abc"),
            "a reset of nothing": f(h2.RST_STREAM, 0, 1, bytes(4)),
            "a frame of no type": f(99, 255, 1, b"x" * 100),
            "a frame that is too large": f(h2.DATA, 0, 1, bytes(100000)),
            "going away": f(h2.GOAWAY, 0, 0, bytes(8)),
            "a promise": f(5, 4, 1, bytes(4) + block),
        }.items():
            with self.subTest(name):
                self.send(h2.PREFACE + settings + frames)
                self.assertAnswers()

    def test_requests_that_are_not_grpc(self):
        def headers(*changes):
            changed = dict(h2.request_headers(GET))
            changed.update(changes)
            return [(k, v) for k, v in changed.items() if v is not None]

        for name, block in {
            "GET": headers((":method", "GET")),
            "no content-type": headers(("content-type", None)),
            "text/html": headers(("content-type", "text/html")),
            "no te": headers(("te", None)),
            "a strange scheme": headers((":scheme", "gopher")),
            "no authority": headers((":authority", None)),
        }.items():
            with self.subTest(name):
                c = self.connect()
                c.request(block, h2.grpc_message(b""))
                c.sync()
                self.assertAnswers()


class Compression(lib.Case):
    def setUp(self):
        super().setUp()
        self.registry = self.daemon(TCP)

    def call_packed(self, packed):
        c = h2.connect(self.registry.address)
        self.addCleanup(c.close)
        headers = h2.request_headers(REGISTER, ("grpc-encoding", "gzip"))
        stream = c.request(headers, b"", end=False)
        c.upload(stream, h2.grpc_message(packed, compressed=True))
        return c.read_end(stream)

    def test_a_compressed_request_is_understood(self):
        c = self.channel(
            self.registry, grpc__default_compression_algorithm=GZIP
        )
        c.register("n" * 200, "a" * 1000)
        self.assertEqual(c.entries(), {"n" * 200: "a" * 1000})

    def test_the_limit_holds_for_what_is_unpacked(self):
        request = lib.message("n1", "a" * (4 << 20))
        code, words = self.call_packed(gzip.compress(request))
        self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        self.assertIn("4194304", words)

    def test_a_packed_bomb_takes_no_memory(self):
        before = self.registry.peak()
        code, _ = self.call_packed(gzip.compress(bytes(1 << 29)))
        self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        if not lib.is_sanitized():
            self.assertLess(self.registry.peak() - before, 64 << 20)

    def test_what_is_not_compressed_as_it_says_is_refused(self):
        packed = gzip.compress(lib.message("n1", "a"))
        for bad in b"garbage", packed[:-9], packed + b"more":
            with self.subTest(bad):
                code, _ = self.call_packed(bad)
                expected = grpc.StatusCode.INVALID_ARGUMENT.value[0]
                self.assertEqual(code, expected)


class Statuses(lib.Case):
    def test_a_long_error_arrives_whatever_it_quotes(self):
        d = self.daemon(TCP, "controller.n1.plane=null")
        c = self.channel(d)
        for text in "a", "\u00e9", "\U0001f600", "%", "\n":
            with self.subTest(text):
                key = text * 100000
                params = lib.field(2, lib.message(key, "x"))
                request = lib.message("volume") + params
                words = 'unknown volume parameter "' + text * 100
                with self.assertFails("INVALID_ARGUMENT", words):
                    c.unary(lib.CONTROLLER + "MapVolume", request)


if __name__ == "__main__":
    lib.main()
