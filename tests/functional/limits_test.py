#!/usr/bin/python3
"""What peers may ask for, and what is left of it when they are done."""

import os
import sys
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
        self.assertLess(d.peak() - before, 200 << 20)
        self.assertEqual(self.channel(d).entries(), {})


if __name__ == "__main__":
    lib.main()
