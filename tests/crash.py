"""Killing a daemon at every step of what it does.

A step is a system call that changes the world, or sends an answer: the daemon is
killed just before its first, second, ... call of each.
"""

import collections
import contextlib
import os

import lib
import node

# What changes the world, or tells it.
STEPS = (
    "ioctl openat mkdir mkdirat linkat link unlink unlinkat rename renameat2 "
    "symlink symlinkat mknod mknodat fallocate write writev pwrite64 pwritev "
    "fdatasync sendmsg"
).split()

# Where much is opened that changes nothing: libraries at the start, and the
# files of all processes when a holder is looked for.
FEWER_STEPS = [step for step in STEPS if step != "openat"]

# More steps of a kind than any operation has.
TOO_MANY = 100

SIZE = node.MIB


class Case(node.Case):
    """A volume that things are done to, and others that must not notice."""

    def setUp(self):
        super().setUp()
        self.start()
        self.volume = self.name("volume")
        self.mapped, self.idle = self.name("mapped"), self.name("idle")
        self.data = node.pattern(1)
        for name in self.mapped, self.idle:
            self.provision(name, SIZE)
            node.write_disk(self.map(name), self.data)
        self.unmap(self.idle)
        self.disk = self.map(self.mapped)
        self.registered = {"far": "dns:///far:1"}
        self.register("far", "dns:///far:1")
        self.steps = collections.Counter()

    # --- what must be there ---

    def check_others(self, disks):
        self.assertEqual(disks.pop(self.mapped), self.disk)
        self.assertEqual(node.read_disk(self.disk, SIZE), self.data)
        with open(os.path.join(self.memory, self.idle), "rb") as f:
            self.assertEqual(f.read(), self.data)
        entries = self.c.entries()
        entries.pop("k1")
        self.assertEqual(entries, self.registered)

    def check_world(self, provisioned=True, mapped=False):
        """Only the volume may have changed, and is as it should be."""
        bdevs, disks = self.check_nothing_leaked()
        self.check_others(disks)
        self.assertEqual(bdevs - {self.mapped, self.idle},
                         {self.volume} if provisioned else set())
        self.assertEqual(set(disks), {self.volume} if mapped else set())
        if mapped:
            self.assertEqual(node.read_disk(disks[self.volume], SIZE),
                             self.data)
        elif provisioned:
            with open(os.path.join(self.memory, self.volume), "rb") as f:
                self.assertEqual(f.read() in (self.data, bytes(SIZE)), True)

    # --- being killed ---

    def is_killed_in(self, call, syscall, n):
        """Whether the n-th system call was reached. If not, the call is done."""
        killer = node.killer(self.d.pid, syscall, n)
        with contextlib.suppress(node.Killed):
            call()
        killer.stop()
        if self.is_alive():
            return False
        self.has_died()
        self.steps[syscall] += 1
        return True

    def each_step(self, prepare, call, steps=STEPS, most=None):
        """Brings the daemon to be killed at each step of the call, or the first
        ones of each kind; yields after the next daemon has started."""
        for syscall in steps:
            for n in range(1, most or TOO_MANY):
                prepare()
                if not self.is_killed_in(call, syscall, n):
                    break
                self.start()
                yield
            else:
                self.assertTrue(most, "no end of " + syscall)

    def report(self, what, *needed):
        """Prints how often it was killed, and sees that it really was."""
        text = " ".join("%s %d" % i for i in sorted((+self.steps).items()))
        node.progress("%s: killed at %d steps: %s" % (
            what, sum(self.steps.values()), text))
        for syscall, n in needed:
            self.assertGreaterEqual(self.steps[syscall], n, syscall)

    # --- the states to start from; from whatever is there ---

    def make_absent(self):
        self.unmap(self.volume)
        self.provision(self.volume, 0)

    def make_idle(self):
        self.unmap(self.volume)
        self.provision(self.volume, SIZE)
        path = os.path.join(self.memory, self.volume)
        with open(path, "rb") as f:
            if f.read() == self.data:
                return
        node.write_disk(self.map(self.volume), self.data)
        self.unmap(self.volume)

    def make_mapped(self):
        self.make_idle()
        self.map(self.volume)
