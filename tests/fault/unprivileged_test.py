#!/usr/bin/python3 -B
"""Without privilege: bdevs can be provisioned, and mapping says what is missing."""

import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib
import node

NOBODY = 65534


class Unprivileged(node.Case):
    def setUp(self):
        super().setUp()
        wrapper = ()
        if os.geteuid() == 0:
            for path in self.dir, self.memory:
                os.chown(path, NOBODY, NOBODY)
            wrapper = ("setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY,
                       "--clear-groups", "--inh-caps=-all")
            os.makedirs(self.path("node"))
            os.chown(self.path("node"), NOBODY, NOBODY)
        self.d = self.launch(wrapper=wrapper)
        self.c = self.channel(self.d)
        self.volume = self.name("v")

    def test_bdevs_are_provisioned_checked_and_removed(self):
        self.provision(self.volume, node.MIB)
        self.provision(self.volume, node.MIB)
        self.check(self.volume)
        path = os.path.join(self.memory, self.volume)
        self.assertEqual(os.stat(path).st_size, node.MIB)
        self.assertEqual(os.stat(path).st_blocks * 512, node.MIB)
        self.provision(self.volume, 0)
        self.assertEqual(os.listdir(self.memory), [])

    def test_mapping_says_what_is_missing_and_leaves_nothing(self):
        self.provision(self.volume, node.MIB)
        for _ in range(2):
            with self.assertFails("FAILED_PRECONDITION", "/dev/loop-control"):
                self.map(self.volume)
            self.assertEqual(self.check_nothing_leaked(), ({self.volume}, {}))
        self.unmap(self.volume)
        self.provision(self.volume, 0)

    def test_the_reason_comes_with_advice(self):
        self.provision(self.volume, node.MIB)
        with self.assertFails("FAILED_PRECONDITION") as caught:
            self.map(self.volume)
        details = dict(caught.exception.trailing_metadata())
        self.assertIn(b"CAP_SYS_ADMIN", details["grpc-status-details-bin"])

    def test_nothing_is_exposed_to_other_users(self):
        self.provision(self.volume, node.MIB)
        self.assertEqual(os.stat(self.memory).st_mode & 0o777, 0o700)
        for at, _, files in os.walk(self.path("node", "state")):
            self.assertEqual(os.stat(at).st_mode & 0o077, 0)
            for name in files:
                mode = os.stat(os.path.join(at, name)).st_mode
                self.assertEqual(mode & 0o077, 0, name)


if __name__ == "__main__":
    for program in "mdb_dump", "setpriv":
        if not shutil.which(program):
            print("1..0 # SKIP needs " + program)
            sys.exit(77)
    lib.main()
