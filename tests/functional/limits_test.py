#!/usr/bin/python3
"""What peers may ask for, and what is left of it when they are done."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

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


if __name__ == "__main__":
    lib.main()
