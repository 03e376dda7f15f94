#!/usr/bin/python3 -B
"""A registry that is cut off from etcd, for CUT=15 seconds.

One front end is in a network namespace of its own, behind a link that is taken
down; another one and etcd are on this side of it.
"""

import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import etcd
import lib

CUT = float(os.environ.get("CUT", 15))
HERE, THERE = "10.0.0.1", "10.0.0.2"

# How long a call may take that nobody limits, in seconds.
LIMIT = 15


def ip(*words, there=None):
    inside = ["nsenter", "--net", "--target", str(there)] if there else []
    subprocess.run([*inside, "ip", *words], check=True)


class NetworkCut(etcd.Case):
    def setUp(self):
        super().setUp()
        self.etcd = self.cluster(host=HERE, listen=HERE)
        settings = ["store.engine=etcd"]
        settings += ["store.endpoints=" + e for e in self.etcd.endpoints]
        socket = self.path("far.sock")
        self.far = self.daemon(
            "daemon.listen=" + socket, *settings, name="far",
            wrapper=["unshare", "--net"])
        self.near = self.daemon("daemon.listen=127.0.0.1:0", *settings)
        self.connect()
        self.a = self.channel("unix:" + socket)
        self.b = self.channel(self.near)
        lib.wait_until(lambda: self.entries() is not None)

    def connect(self):
        there = self.far.pid
        ip("link", "add", "far", "type", "veth", "peer", "name", "uplink",
           "netns", str(there))
        ip("addr", "add", HERE + "/24", "dev", "far")
        self.set_link("up")
        ip("addr", "add", THERE + "/24", "dev", "uplink", there=there)
        ip("link", "set", "dev", "uplink", "up", there=there)

    def set_link(self, state):
        ip("link", "set", "dev", "far", state)

    def entries(self, patience=1):
        """What the one that is cut off says; None if it cannot."""
        try:
            return self.a.entries(timeout=patience)
        except grpc.RpcError as e:
            code = "UNAVAILABLE" if patience > 1 else "DEADLINE_EXCEEDED"
            self.assertIn(e.code().name, ("UNAVAILABLE", code))
        return None

    def test_nothing_old_is_told_and_it_recovers_by_itself(self):
        pid = self.far.pid
        self.a.register("x", "dns:///x:1")
        self.assertEqual(self.b.entries(), {"x": "dns:///x:1"})
        self.set_link("down")
        self.b.register("x", "dns:///x:2")
        end = time.monotonic() + CUT
        self.assertIsNone(self.entries(LIMIT))
        refused = 1
        while time.monotonic() < end:
            self.assertIsNone(self.entries())
            refused += 1
        self.set_link("up")
        start = time.monotonic()
        found = lib.wait_until(self.entries, "the registry")
        took = time.monotonic() - start
        self.assertEqual(found, {"x": "dns:///x:2"})
        self.a.register("x", "dns:///x:3")
        self.assertEqual(self.b.entries(), {"x": "dns:///x:3"})
        self.assertEqual(self.far.pid, pid)
        self.assertIsNone(self.far.process.poll())
        print("# %d calls refused in %.0f s, answers again after %.2f s" % (
            refused, CUT, took), flush=True)


def run():
    """In a namespace where nobody else has these addresses."""
    reason = etcd.missing()
    if not reason and os.geteuid() != 0:
        reason = "needs root"
    if reason:
        print("1..0 # SKIP " + reason)
        sys.exit(77)
    if sys.argv[1:] != ["inside"]:
        os.execvp("unshare", ["unshare", "--net", sys.argv[0], "inside"])
    sys.argv.pop()
    ip("link", "set", "lo", "up")
    # An address that etcd can listen on before there is a link.
    ip("addr", "add", HERE + "/32", "dev", "lo")
    lib.main()


if __name__ == "__main__":
    run()
