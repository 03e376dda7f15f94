#!/usr/bin/python3 -B
"""Forwarded calls of methods that the registry knows to be unary."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import lib

CHECK = lib.CONTROLLER + "CheckMallocBDev"
TCP = "daemon.listen=127.0.0.1:0"
GZIP = 2  # GRPC_COMPRESS_GZIP

to_n1 = lib.to("n1")


class ForwardUnary(lib.Case):
    def start(self, serve=lib.echo, **kwargs):
        """A registry, a controller "n1", and a channel to the registry."""
        self.registry = self.daemon(TCP)
        self.n1 = self.controller(serve, **kwargs)
        self.client = self.channel(self.registry)
        self.client.register("n1", self.n1.address)

    def test_messages_of_any_size_arrive(self):
        self.start()
        for size in 0, 1, 20000, 3 << 20:
            with self.subTest(size):
                sent = os.urandom(size)
                reply = self.client.unary(CHECK, sent, metadata=to_n1)
                self.assertEqual(reply, sent)

    def test_compressed_messages_arrive_whole(self):
        self.start(grpc__default_compression_algorithm=GZIP)
        client = self.channel(
            self.registry, grpc__default_compression_algorithm=GZIP
        )
        sent = b"a" * 100000
        self.assertEqual(client.unary(CHECK, sent, metadata=to_n1), sent)

    def test_metadata_is_carried_both_ways(self):
        def serve(call):
            call.context.send_initial_metadata([("h", "1"), ("h-bin", b"\0")])
            call.context.set_trailing_metadata([("t", "2"), ("t-bin", b"\xff")])
            yield from call.requests

        self.start(serve)
        metadata = lib.to("n1", ("k", "a"), ("k", "b"), ("k-bin", b"\0\xff"))
        _, call = self.client.with_call(CHECK, b"x", metadata=metadata)
        served = self.n1.wait_for_call()
        self.assertEqual(served.method, CHECK)
        self.assertEqual(served.values("k"), ["a", "b"])
        self.assertEqual(served.values("k-bin"), [b"\0\xff"])
        headers = dict(call.initial_metadata())
        trailers = dict(call.trailing_metadata())
        self.assertEqual((headers["h"], headers["h-bin"]), ("1", b"\0"))
        self.assertEqual((trailers["t"], trailers["t-bin"]), ("2", b"\xff"))

    def test_the_deadline_is_carried(self):
        self.start()
        self.client.unary(CHECK, timeout=20, metadata=to_n1)
        self.assertLess(self.n1.wait_for_call().remaining, 21)

    def test_an_error_comes_with_words_and_details(self):
        def serve(call):
            details = ("grpc-status-details-bin", b"\x08\x05")
            call.abort(grpc.StatusCode.NOT_FOUND, "no é", details)
            yield

        self.start(serve)
        with self.assertFails("NOT_FOUND") as caught:
            self.client.unary(CHECK, metadata=to_n1)
        e = caught.exception
        trailers = dict(e.trailing_metadata())
        self.assertEqual(trailers["grpc-status-details-bin"], b"\x08\x05")

    def test_an_error_of_the_controller_keeps_its_words(self):
        def serve(call):
            call.abort(grpc.StatusCode.UNAVAILABLE, "the plane is away")
            yield

        self.start(serve)
        with self.assertFails("UNAVAILABLE") as caught:
            self.client.unary(CHECK, metadata=to_n1)
        self.assertEqual(caught.exception.details(), "the plane is away")

    def test_an_error_behind_a_reply_is_what_counts(self):
        def serve(call):
            yield b"reply"
            call.abort(grpc.StatusCode.DATA_LOSS, "after all")

        self.start(serve)
        with self.assertFails("DATA_LOSS", "after all"):
            self.client.unary(CHECK, metadata=to_n1)

    def test_success_without_a_reply_stays_without(self):
        self.start(lambda call: ())
        self.assertIsNone(self.client.unary(CHECK, metadata=to_n1))

    def test_a_cancelled_call_is_cancelled_at_the_controller(self):
        def serve(call):
            call.wait_for_end()
            yield b""

        self.start(serve)
        call = self.client.start(CHECK, metadata=to_n1)
        served = self.n1.wait_for_call()
        call.cancel()
        served.wait_for_end()

    def test_a_deadline_that_passes_ends_both_sides(self):
        def serve(call):
            call.wait_for_end()
            yield b""

        self.start(serve)
        with self.assertFails("DEADLINE_EXCEEDED"):
            self.client.unary(CHECK, timeout=0.2, metadata=to_n1)
        self.n1.wait_for_call().wait_for_end()

    def test_a_controller_that_dies_is_unavailable_at_once(self):
        def serve(call):
            call.wait_for_end()
            yield b""

        self.start(serve)
        gate = self.gate(self.n1)
        self.client.register("n1", gate.address)
        call = self.client.start(CHECK, metadata=to_n1)
        self.n1.wait_for_call()
        gate.cut()
        with self.assertQuick(), self.assertFails("UNAVAILABLE"):
            call.result()

    def test_a_controller_that_is_away_is_named(self):
        self.start()
        address = "127.0.0.1:%d" % lib.free_port()
        self.client.register("n1", address)
        with self.assertFails("UNAVAILABLE", address):
            self.client.unary(CHECK, metadata=to_n1)

    def test_without_a_controllers_id_there_is_nobody_to_ask(self):
        self.start()
        with self.assertFails("UNIMPLEMENTED", '"controllerid" is missing'):
            self.client.unary(CHECK)


if __name__ == "__main__":
    lib.main()
