#!/usr/bin/python3 -B
"""Forwarded streams: all shapes, large, slow, many, and broken off."""

import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import h2
import lib

TCP = "daemon.listen=127.0.0.1:0"
to_n1 = lib.to("n1")
CHUNK = bytes(64 << 10)

plain_build_only = unittest.skipIf(
    lib.is_sanitized(), "memory of a build with sanitizers says nothing"
)


class Streams(lib.Case):
    def start(self, serve=lib.echo, **args):
        """A registry, a controller "n1", and a channel to the registry."""
        self.registry = self.daemon(TCP)
        self.n1 = self.controller(serve)
        self.client = self.channel(self.registry, **args)
        self.client.register("n1", self.n1.address)

    def hang(self, call):
        call.wait_for_end()
        yield from ()


class Shapes(Streams):
    def test_unary(self):
        self.start()
        reply = self.client.unary("/t/Echo", b"hi", metadata=to_n1)
        self.assertEqual(reply, b"hi")
        self.assertEqual(self.n1.calls[0].method, "/t/Echo")

    def test_client_streaming(self):
        self.start(lambda call: [b"".join(call.requests)])
        parts = [b"a", b"", b"b", b"c" * 1000]
        reply = self.client.upload("/t/Join", parts, metadata=to_n1)
        self.assertEqual(reply, b"".join(parts))

    def test_server_streaming(self):
        parts = [b"a", b"", b"b", b"c" * 1000]
        self.start(lambda call: parts)
        replies = self.client.download("/t/Split", b"", metadata=to_n1)
        self.assertEqual(list(replies), parts)

    def test_bidirectional_streaming(self):
        self.start()
        requests = lib.Requests()
        replies = self.client.stream("/t/Echo", requests, metadata=to_n1)
        for i in range(300):
            requests.send(b"%d" % i)
            self.assertEqual(next(replies), b"%d" % i)
        requests.close()
        self.assertEqual(list(replies), [])
        self.assertEqual(replies.code(), grpc.StatusCode.OK)

    def test_an_empty_stream(self):
        self.start()
        replies = self.client.stream("/t/Echo", [], metadata=to_n1)
        self.assertEqual(list(replies), [])

    def test_a_reply_that_is_missing(self):
        self.start(lambda call: [])
        replies = self.client.download("/t/None", b"", metadata=to_n1)
        self.assertEqual(list(replies), [])

    def test_two_thousand_messages_keep_their_order(self):
        self.start()
        sent = [b"%d" % i for i in range(2000)]
        replies = self.client.stream("/t/Echo", sent, metadata=to_n1)
        self.assertEqual(list(replies), sent)

    def test_a_unary_method_that_is_served_here_is_forwarded_too(self):
        registry = self.daemon(TCP, "controller.here.plane=null")
        n1 = self.controller(lambda call: [b"".join(call.requests)])
        c = self.channel(registry)
        c.register("n1", n1.address)
        method = lib.CONTROLLER + "MapVolume"
        request = lib.message("volume", b"")
        reply = c.unary(method, request, metadata=to_n1)
        self.assertEqual(reply, request)
        self.assertEqual(n1.calls[0].method, method)


class Promptness(Streams):
    """What one side says reaches the other although nothing follows."""

    def test_headers_arrive_before_the_first_reply(self):
        go_on = threading.Event()

        def serve(call):
            call.context.send_initial_metadata((("x-early", "1"),))
            go_on.wait(lib.PATIENCE)
            yield b""

        self.start(serve)
        replies = self.client.download("/t/Any", b"", metadata=to_n1)
        headers = list(replies.initial_metadata())
        self.assertIn(("x-early", "1"), headers)
        go_on.set()

    def test_a_call_arrives_before_its_first_request(self):
        self.start()
        requests = lib.Requests()
        replies = self.client.stream("/t/Echo", requests, metadata=to_n1)
        self.n1.wait_for_call()
        requests.close()
        self.assertEqual(list(replies), [])

    def test_an_end_by_the_controller_does_not_wait_for_the_client(self):
        def serve(call):
            next(call.requests)
            call.abort(grpc.StatusCode.DATA_LOSS, "enough")
            yield

        self.start(serve)
        times = []
        for _ in range(5):
            requests = lib.Requests()
            replies = self.client.stream("/t/Any", requests, metadata=to_n1)
            start = time.monotonic()
            requests.send(b"one")
            with self.assertFails("DATA_LOSS", "enough"):
                next(replies)
            times.append(time.monotonic() - start)
            requests.close()
        self.assertLess(min(times), 0.1)

    def test_an_ok_by_the_controller_does_not_wait_for_the_client(self):
        self.start(lambda call: [next(call.requests)])
        requests = lib.Requests()
        replies = self.client.stream("/t/Any", requests, metadata=to_n1)
        requests.send(b"one")
        self.assertEqual(list(replies), [b"one"])
        requests.close()


class Size(Streams):
    def setUp(self):
        super().setUp()
        self.start(
            grpc__max_receive_message_length=-1,
            grpc__max_send_message_length=-1,
        )

    def test_messages_of_3_megabytes_pass_both_ways(self):
        sent = [os.urandom(3 << 20) for _ in range(3)]
        replies = self.client.stream("/t/Echo", sent, metadata=to_n1)
        self.assertEqual(list(replies), sent)

    def test_a_request_beyond_the_limit_is_refused_with_it(self):
        too_large = bytes((4 << 20) + 1)
        words = "larger than max (4194305 vs. 4194304)"
        with self.assertFails("RESOURCE_EXHAUSTED", words):
            self.client.unary("/t/Echo", too_large, metadata=to_n1)
        largest = bytes(4 << 20)
        reply = self.client.unary("/t/Echo", largest, metadata=to_n1)
        self.assertEqual(reply, largest)

    def test_a_reply_beyond_the_limit_passes(self):
        self.n1.serve = lambda call: [bytes(20 << 20)]
        reply = self.client.unary("/t/Any", b"", metadata=to_n1)
        self.assertEqual(len(reply), 20 << 20)


class FlowControl(Streams):
    """Whoever does not take messages holds their sender, and only that."""

    N = 2000

    def count_until_it_stops(self, counter):
        """Waits until no more come, and returns how many there were."""
        last = [0]

        def has_stopped():
            before, last[0] = last[0], counter[0]
            time.sleep(0.1)
            return before and before == counter[0]

        lib.wait_until(has_stopped)
        return counter[0]

    def produce(self, counter):
        for _ in range(self.N):
            counter[0] += 1
            yield CHUNK

    @plain_build_only
    def test_a_client_that_does_not_read_holds_the_controller(self):
        produced = [0]
        self.start(lambda call: self.produce(produced))
        before = self.registry.rss()
        replies = self.client.download("/t/Many", b"", metadata=to_n1)
        next(replies)
        n = self.count_until_it_stops(produced)
        self.assertLess(n, 400)
        self.assertLess(self.registry.rss() - before, 16 << 20)
        self.assertEqual(sum(1 for _ in replies), self.N - 1)
        self.assertLess(self.registry.peak() - before, 32 << 20)

    @plain_build_only
    def test_a_controller_that_does_not_read_holds_the_client(self):
        go_on = threading.Event()

        def serve(call):
            go_on.wait(lib.PATIENCE)
            yield b"%d" % sum(1 for _ in call.requests)

        produced = [0]
        self.start(serve)
        before = self.registry.rss()
        call = self.client.grpc.stream_unary("/t/Many", lib.raw, lib.raw)
        result = call.future(self.produce(produced), metadata=to_n1)
        self.assertLess(self.count_until_it_stops(produced), 400)
        self.assertLess(self.registry.rss() - before, 16 << 20)
        go_on.set()
        self.assertEqual(result.result(), b"%d" % self.N)

    def test_a_controller_that_hangs_holds_no_other(self):
        """Nor a call of the same client, on the same connection."""
        go_on = threading.Event()

        def hang(call):
            go_on.wait(lib.PATIENCE)
            yield from ()

        produced = [0]
        self.start(hang)
        fast = self.controller(lib.echo)
        self.client.register("fast", fast.address)
        call = self.client.grpc.stream_unary("/t/Many", lib.raw, lib.raw)
        uploads = [
            call.future(self.produce(produced), metadata=to_n1)
            for _ in range(3)
        ]
        self.count_until_it_stops(produced)
        with self.assertQuick(2):
            for _ in range(100):
                self.client.unary("/t/Echo", CHUNK, metadata=lib.to("fast"))
        go_on.set()
        for upload in uploads:
            upload.cancel()


class Many(Streams):
    def test_a_thousand_calls_at_once(self):
        all_there = threading.Semaphore(0)
        go_on = threading.Event()

        def serve(call):
            request = next(call.requests)
            all_there.release()
            go_on.wait(lib.PATIENCE)
            yield request

        self.start(serve)
        c = h2.connect(self.registry.address)
        self.addCleanup(c.close)
        streams = [
            c.request(
                h2.request_headers("/t/Wait", *to_n1),
                h2.grpc_message(b"%d" % i),
            )
            for i in range(1000)
        ]
        for _ in streams:
            self.assertTrue(all_there.acquire(timeout=lib.PATIENCE))
        go_on.set()
        for i, stream in enumerate(streams):
            if stream not in c.bytes or c.status(stream)[0]:
                self.assertEqual(c.read_end(stream), (0, ""))
            self.assertEqual(c.bytes[stream], h2.grpc_message(b"%d" % i))

    def test_connections_that_break_leave_nothing_behind(self):
        self.start(self.hang)
        self.client.entries()
        calls = 0

        def break_off():
            nonlocal calls
            c = h2.connect(self.registry.address)
            for i in range(20):
                headers = h2.request_headers("/t/Any", *to_n1)
                c.request(headers, h2.grpc_message(CHUNK[:100]), i % 2)
            calls += 20
            self.n1.wait_for_call(calls)
            c.abort()
            for call in self.n1.calls[calls - 20 : calls]:
                call.wait_for_end()

        for _ in range(5):
            break_off()
        fds, rss = self.registry.fds(), self.registry.rss()
        for _ in range(20):
            break_off()
        lib.wait_until(lambda: self.registry.fds() <= fds)
        if not lib.is_sanitized():
            self.assertLess(self.registry.rss() - rss, 2 << 20)


if __name__ == "__main__":
    lib.main()
