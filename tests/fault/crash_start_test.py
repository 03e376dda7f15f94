#!/usr/bin/python3 -B
"""kill -9 at every step of the start that cleans up after a kill -9."""

import collections
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import crash
import lib
import node


class Starts(crash.Case):
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
        for syscall in crash.FEWER_STEPS:
            for n in range(1, crash.TOO_MANY):
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
    node.main()
