#!/usr/bin/python3 -B
"""kill -9 at every step of every operation.

Then the daemon is started again, the call that was cut short is repeated, and
all must be as if nothing had happened: the same end, nothing lost, nothing left
over.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import crash
import node

COMMITS = (("fdatasync", 2), ("pwrite64", 2), ("sendmsg", 1))


class Operations(crash.Case):
    def test_provisioning_ends_the_same_wherever_it_is_killed(self):
        def call():
            self.provision(self.volume, crash.SIZE)

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
        for _ in self.each_step(lambda: None, call, crash.FEWER_STEPS, 8):
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


if __name__ == "__main__":
    node.main()
