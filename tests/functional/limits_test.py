#!/usr/bin/python3 -B
"""What peers may ask for, and what is left of it when they are done."""

import itertools
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import h2
import lib

TCP = "daemon.listen=127.0.0.1:0"

# What a sanitizer keeps of freed memory says nothing about the daemon.
plain_build_only = unittest.skipIf(
    lib.is_sanitized(), "memory of a build with sanitizers says nothing"
)


class Memory(lib.Case):
    @plain_build_only
    def test_replies_leave_nothing_behind(self):
        d = self.daemon(TCP)
        c = self.channel(d)
        c.register("n1", "127.0.0.1:1")
        for _ in range(1000):
            c.entries()
        before = d.rss()
        for _ in range(10000):
            c.entries()
        self.assertLess(d.rss() - before, 1 << 20)


class Messages(lib.Case):
    def test_a_message_that_never_ends_takes_no_more_than_there_is(self):
        d = self.daemon(TCP)
        before = d.rss()
        c = h2.connect(d.address)
        self.addCleanup(c.close)
        headers = h2.request_headers(lib.REGISTRY + "GetControllers")
        stream = c.request(headers, b"\0\xff\xff\xff\xff", end=False)
        c.upload(stream, bytes(256 << 20))
        self.assertEqual(c.resets[stream], h2.ENHANCE_YOUR_CALM)
        if not lib.is_sanitized():
            self.assertLess(d.peak() - before, 200 << 20)
        self.assertEqual(self.channel(d).entries(), {})


class Concurrency(lib.Case):
    """What killed other registries (16 writers, or one and a reader)."""

    def test_many_write_and_read_at_once(self):
        d = self.daemon(TCP, "daemon.listen=" + self.path("sock"))
        problems = []
        end = time.monotonic() + 1

        def work(i):
            try:
                c = lib.Channel(d.addresses[i % 2])
                n = 0
                while time.monotonic() < end:
                    c.register("n%d-%d" % (i, n % 5), "127.0.0.1:%d" % (n + 1))
                    entries = c.entries()
                    mine = entries["n%d-%d" % (i, n % 5)]
                    self.assertEqual(mine, "127.0.0.1:%d" % (n + 1))
                    self.assertEqual(list(entries), sorted(entries))
                    n += 1
                c.close()
            except BaseException as e:
                problems.append(e)

        threads = [threading.Thread(target=work, args=[i]) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        self.assertEqual(len(self.channel(d).entries()), 16 * 5)

    def test_calls_and_changes_of_addresses_do_not_meet(self):
        """Every call reaches one of the places where the controller was."""
        names = [b"a", b"b", b"c"]
        places = [self.controller(lambda call, n=n: [n]) for n in names]
        d = self.daemon(TCP)
        self.channel(d).register("n1", places[0].address)
        replies = set()
        end = time.monotonic() + 1

        def call():
            c = lib.Channel(d.address)
            while time.monotonic() < end:
                replies.add(c.unary("/t/Any", b"", metadata=lib.to("n1")))
            c.close()

        threads = [threading.Thread(target=call) for _ in range(8)]
        for thread in threads:
            thread.start()
        c = self.channel(d)
        for n in itertools.count():
            c.register("n1", places[n % 3].address)
            if time.monotonic() > end:
                break
        for thread in threads:
            thread.join()
        self.assertEqual(replies, set(names))

    def test_connections_come_and_go(self):
        d = self.daemon(TCP, "daemon.listen=" + self.path("sock"))
        c = self.channel(d)
        c.entries()
        before = d.fds()
        headers = h2.request_headers(lib.REGISTRY + "GetControllers")
        for i in range(200):
            short = h2.connect(d.addresses[i % 2])
            stream = short.request(headers, h2.grpc_message(b""))
            if i % 4 < 2:
                self.assertEqual(short.read_end(stream), (0, ""))
            short.abort() if i % 3 else short.close()
        lib.wait_until(lambda: d.fds() <= before)


if __name__ == "__main__":
    lib.main()
