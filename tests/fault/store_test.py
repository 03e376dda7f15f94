#!/usr/bin/python3 -B
"""A disk that fails or is full under the store of the daemon."""

import contextlib
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import lib
import node

SERVING, NOT_SERVING = 1, 2


class Store(node.Case):
    """A daemon with a null plane; its memory does not matter here."""

    def begin(self):
        self.d = self.daemon("controller.k1.plane=null", *self.settings,
                             name="node")
        self.c = self.channel(self.d)

    def health(self):
        reply = self.c.unary(lib.HEALTH + "Check")
        return lib.fields(reply).get(1, [0])[0]

    def wait_for_health(self, status):
        lib.wait_until(lambda: self.health() == status, "another health")


class Failure(Store):
    def setUp(self):
        super().setUp()
        reason = node.missing()
        if reason:
            self.skipTest(reason)
        self.begin()

    def break_disk(self, syscall):
        """The next of these calls fails as on a broken disk."""
        return node.Strace(self.d.pid, [
            "-o", "/dev/null", "-e", "trace=" + syscall,
            "-e", "inject=%s:error=EIO:when=1" % syscall])

    def check_failure(self, syscall):
        """A write fails; the daemon ends, and the next one is sound."""
        self.register("old", "dns:///old:1")
        strace = self.break_disk(syscall)
        with self.assertRaises(node.Killed):
            self.register("new", "dns:///new:1")
        with self.assertRaises(node.Killed):
            self.register("newer", "dns:///newer:1")
        strace.stop()
        self.assertEqual(self.d.wait(), 1)
        self.assertRegex(self.d.log, r"error daemon: the store does not work")
        self.assertRegex(self.d.log, r"(?m)^oimd: store .* failed")
        self.begin()
        entries = self.c.entries()
        self.assertEqual(entries["old"], "dns:///old:1")
        self.assertNotIn("newer", entries)
        self.register("new", "dns:///new:1")
        self.assertEqual(self.c.entries()["new"], "dns:///new:1")

    def test_a_sync_that_fails_ends_the_daemon_and_loses_nothing(self):
        self.check_failure("fdatasync")

    def test_a_root_that_is_not_written_ends_the_daemon_and_loses_nothing(self):
        self.check_failure("pwrite64")


class Full(Store):
    """The state of the daemon is on a file system of 4 MiB. Nothing but the
    test writes: pages that are free in the store are room, too."""

    def begin(self):
        self.settings = [*self.settings, "controller.k1.registry=/nowhere"]
        super().begin()

    def setUp(self):
        super().setUp()
        self.state = self.path("node", "state")
        os.makedirs(self.state)
        mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "oim-test", self.state],
            capture_output=True).returncode == 0
        if not mounted:
            self.skipTest("needs root and mount(2)")
        self.addCleanup(subprocess.run, ["umount", self.state])
        self.begin()

    def fill(self):
        with open(os.path.join(self.state, "ballast"), "wb", 0) as f:
            with contextlib.suppress(OSError):
                while True:
                    f.write(bytes(4096))

    def empty(self):
        os.unlink(os.path.join(self.state, "ballast"))

    def fail_to_write(self):
        """Registers more and more until it fails for want of space."""
        for i in range(1000):
            try:
                self.register("c%d" % i, "x" * 4000)
            except grpc.RpcError as e:
                self.assertEqual(e.code(),
                                 grpc.StatusCode.RESOURCE_EXHAUSTED)
                return
        self.fail("it never was full")

    def test_a_full_disk_is_said_and_survived(self):
        self.register("old", "dns:///old:1")
        self.fill()
        self.fail_to_write()
        self.wait_for_health(NOT_SERVING)
        self.assertEqual(self.c.entries()["old"], "dns:///old:1")
        with self.assertFails("RESOURCE_EXHAUSTED"):
            self.provision("d0", node.MIB)
        with self.assertFails("NOT_FOUND"):
            self.check("d0")
        self.empty()
        self.wait_for_health(SERVING)
        self.provision("d0", node.MIB)
        self.check("d0")
        self.register("old", "")
        self.assertNotIn("old", self.c.entries())


if __name__ == "__main__":
    if not shutil.which("mdb_dump"):
        print("1..0 # SKIP needs mdb_dump")
        sys.exit(77)
    lib.main()
