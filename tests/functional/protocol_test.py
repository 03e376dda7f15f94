#!/usr/bin/python3
"""gRPC and HTTP/2 as clients speak them, well and badly."""

import gzip
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import h2
import lib

TCP = "daemon.listen=127.0.0.1:0"
GZIP = 2  # GRPC_COMPRESS_GZIP
GET = lib.REGISTRY + "GetControllers"
REGISTER = lib.REGISTRY + "RegisterController"


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
