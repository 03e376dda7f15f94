#!/usr/bin/python3
"""kill -9 at every step of every operation, and of the start after it.

A step is a system call that changes the world, or sends an answer: the daemon is
killed just before its first, second, ... call of each. Then it is started again,
the call that was cut short is repeated, and all must be as if nothing had
happened: the same end, nothing lost, nothing left over.
"""

import collections
import contextlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

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


class Crash(node.Case):
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
        killer = node.Killer(self.d.pid, syscall, n)
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


COMMITS = (("fdatasync", 2), ("pwrite64", 2), ("sendmsg", 1))


class Operations(Crash):
    def test_provisioning_ends_the_same_wherever_it_is_killed(self):
        def call():
            self.provision(self.volume, SIZE)

        for _ in self.each_step(self.make_absent, call):
            self.check_nothing_leaked()
            call()
            self.check(self.volume)
            self.check_world()
        self.report("provision", *COMMITS, ("fallocate", 1), ("linkat", 1))

    def test_removing_ends_the_same_wherever_it_is_killed(self):
        def call():
            self.provision(self.volume, 0)

        for _ in self.each_step(self.make_idle, call):
            self.check_nothing_leaked()
            call()
            self.check_world(provisioned=False)
        self.report("remove", *COMMITS, ("unlinkat", 1))

    def test_mapping_ends_the_same_wherever_it_is_killed(self):
        def call():
            self.map(self.volume)

        for _ in self.each_step(self.make_idle, call):
            self.check_nothing_leaked()
            call()
            self.check_world(mapped=True)
        self.report("map", *COMMITS, ("ioctl", 2), ("symlink", 1),
                    ("rename", 1))

    def test_unmapping_ends_the_same_wherever_it_is_killed(self):
        def call():
            self.unmap(self.volume)

        for _ in self.each_step(self.make_mapped, call):
            self.check_nothing_leaked()
            call()
            self.check_world()
        self.report("unmap", *COMMITS, ("ioctl", 2), ("unlink", 1))

    def test_a_held_disk_stays_mapped_wherever_unmapping_is_killed(self):
        def call():
            with self.assertFails("FAILED_PRECONDITION", "is open in"):
                self.unmap(self.volume)

        self.make_mapped()
        disk = self.map(self.volume)
        holder = os.fdopen(os.open("/dev/" + disk, os.O_RDONLY | os.O_EXCL))
        self.addCleanup(holder.close)
        for _ in self.each_step(lambda: None, call, FEWER_STEPS, 8):
            self.check_world(mapped=True)
            self.assertEqual(self.map(self.volume), disk)
        holder.close()
        self.make_absent()
        self.check_world(provisioned=False)
        self.report("unmap of a held disk", ("fdatasync", 2), ("sendmsg", 1))

    def test_registering_ends_the_same_wherever_it_is_killed(self):
        addresses = iter("dns:///new:%d" % i for i in range(1, 10000))
        latest = next(addresses)

        def prepare():
            nonlocal latest
            latest = next(addresses)

        def call():
            self.register("new", latest)

        for _ in self.each_step(prepare, call):
            call()
            self.registered["new"] = latest
            self.check_world(provisioned=False)
        self.report("register", ("fdatasync", 1), ("pwrite64", 1),
                    ("sendmsg", 1))


class Starts(Crash):
    """The daemon dies, and the next one dies while it cleans up."""

    def kill_traced(self):
        """Kills the daemon that strace has started."""
        children = "/proc/%d/task/%d/children" % (self.d.pid, self.d.pid)
        with contextlib.suppress(FileNotFoundError), open(children) as f:
            for pid in f.read().split():
                os.kill(int(pid), 9)

    def dies_at_its_start(self, syscall, n):
        """Whether the n-th system call was reached before it listened."""
        wrapper = ["strace", "-f", "-q", "-o", "/dev/null"]
        self.d = self.launch(
            wait=False, wrapper=wrapper + node.injection(syscall, n))
        self.addCleanup(self.kill_traced)
        lib.wait_until(self.d._has_started, "the start")
        came_through = self.d.process.poll() is None
        self.kill_traced()
        self.has_died()
        self.steps[syscall] += not came_through
        return not came_through

    def kill_each_start(self, interrupt):
        """interrupt() leaves a dead daemon with something half done. Yields
        after the start that came through."""
        for syscall in FEWER_STEPS:
            for n in range(1, TOO_MANY):
                interrupt()
                came_through = not self.dies_at_its_start(syscall, n)
                self.start()
                yield
                if came_through:
                    break
            else:
                self.fail("no end of " + syscall)

    def interrupted(self, prepare, call, syscall, n):
        def interrupt():
            prepare()
            steps = self.steps
            self.steps = collections.Counter()
            self.assertTrue(self.is_killed_in(call, syscall, n))
            self.steps = steps

        return interrupt

    def test_an_interrupted_map_is_undone_however_often_it_dies(self):
        def call():
            self.map(self.volume)

        interrupt = self.interrupted(self.make_idle, call, "fdatasync", 2)
        for _ in self.kill_each_start(interrupt):
            self.check_world()
            call()
            self.check_world(mapped=True)
        self.report("start after map", ("ioctl", 2), ("fdatasync", 1))

    def test_an_interrupted_unmap_is_finished_however_often_it_dies(self):
        def call():
            self.unmap(self.volume)

        interrupt = self.interrupted(self.make_mapped, call, "ioctl", 1)
        for _ in self.kill_each_start(interrupt):
            self.check_world()
            call()
            self.check_world()
        self.report("start after unmap", ("ioctl", 2), ("fdatasync", 1))

    def test_an_interrupted_removal_is_finished_however_often_it_dies(self):
        def call():
            self.provision(self.volume, 0)

        interrupt = self.interrupted(self.make_idle, call, "unlinkat", 1)
        for _ in self.kill_each_start(interrupt):
            self.check_world(provisioned=False)
        self.report("start after remove", ("unlinkat", 1), ("fdatasync", 1))


if __name__ == "__main__":
    reason = node.missing()
    if reason:
        print("1..0 # SKIP " + reason)
        sys.exit(77)
    lib.main()
