#!/usr/bin/python3
"""What the daemon listens on, and what it leaves alone."""

import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib


class Listen(lib.Case):
    def assertRefused(self, words, *settings, **kwargs):
        """A daemon with these settings does not start, and says why."""
        d = self.daemon(*settings, wait=False, **kwargs)
        self.assertIn(d.wait(), (1, 2))
        self.assertIn(words, d.log)
        self.assertTrue(d.log.startswith("oimd: "), d.log)
        self.assertEqual(d.addresses, [])


class Tcp(Listen):
    def test_a_port_that_is_in_use_is_refused(self):
        other = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(other.close)
        address = "127.0.0.1:%d" % other.getsockname()[1]
        words = "cannot listen on %s: Address already in use" % address
        self.assertRefused(words, "daemon.listen=" + address)


if __name__ == "__main__":
    lib.main()
