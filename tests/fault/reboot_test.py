#!/usr/bin/python3 -B
"""What the daemon finds when the host was started anew, or things were taken
away, while it was not there."""

import os
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import node

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Away(node.Case):
    """One volume that is mapped, one that is not; and the daemon is gone."""

    def setUp(self):
        super().setUp()
        self.start()
        self.mapped, self.idle = self.name("mapped"), self.name("idle")
        self.data = node.pattern(7)
        for name in self.mapped, self.idle:
            self.provision(name, node.MIB)
            self.disk = self.map(name)
            node.write_disk(self.disk, self.data)
            if name == self.idle:
                self.unmap(name)
        self.disk = self.map(self.mapped)
        self.kill()

    def lose_disks(self):
        for disk in node.bound_disks(self.memory):
            node.remove_disk(disk)
        for link in self.links():
            os.unlink("%s/%s" % (node.BY_ID, link))

    def lose_memory(self):
        for name in os.listdir(self.memory):
            os.unlink(os.path.join(self.memory, name))

    def test_a_disk_that_was_taken_away_is_there_again_with_its_data(self):
        self.lose_disks()
        self.start()
        self.assertEqual(self.check_nothing_leaked(),
                         ({self.mapped, self.idle}, {self.mapped: self.disk}))
        self.assertEqual(self.map(self.mapped), self.disk)
        self.assertEqual(node.read_disk(self.disk, node.MIB), self.data)
        self.d.wait_for_log("attach volume again controller=k1 object=" +
                            self.mapped)

    def test_a_disk_whose_number_was_taken_gets_another(self):
        self.lose_disks()
        number = int(self.disk.removeprefix("loop"))
        path = "/dev/" + self.disk
        os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(7, number))
        subprocess.run(["losetup", path, os.path.join(self.memory, self.idle)],
                       check=True)
        self.addCleanup(node.remove_disk, self.disk)
        self.start()
        disk = self.map(self.mapped)
        self.assertNotEqual(disk, self.disk)
        self.assertEqual(node.read_disk(disk, node.MIB), self.data)
        self.unmap(self.mapped)
        self.assertTrue(node.backing_file(self.disk).endswith(self.idle))

    def test_data_that_is_gone_is_never_made_up(self):
        self.lose_disks()
        self.lose_memory()
        self.start()
        self.assertEqual(os.listdir(self.memory), [])
        with self.assertFails("NOT_FOUND", "is gone"):
            self.map(self.mapped)
        with self.assertFails("FAILED_PRECONDITION", "mapped"):
            self.provision(self.mapped, node.MIB)
        with self.assertFails("NOT_FOUND"):
            self.check(self.mapped)
        self.assertEqual(os.listdir(self.memory), [])
        self.unmap(self.mapped)
        self.provision(self.mapped, node.MIB)
        self.provision(self.idle, 0)
        self.assertEqual(self.check_nothing_leaked(), ({self.mapped}, {}))

    def start_rebooted(self):
        """Starts the daemon as if the kernel were another one."""
        with open(self.path("boot_id"), "w") as f:
            f.write("01234567-89ab-cdef-0123-456789abcdef\n")
        self.d = self.launch(wrapper=(
            "unshare", "--mount", "sh", "-c",
            'mount --bind %s %s && exec "$@"' % (self.path("boot_id"), BOOT_ID),
            "sh"))
        self.c = self.channel(self.d)

    def test_after_a_reboot_what_was_in_memory_is_forgotten_with_events(self):
        self.lose_disks()
        self.lose_memory()
        self.start_rebooted()
        self.assertEqual(self.check_nothing_leaked(), (set(), {}))
        self.d.wait_for_log("forget mapping, its memory is gone controller=k1 "
                            "object=" + self.mapped)
        for name in self.mapped, self.idle:
            self.d.wait_for_log("forget bdev, its memory is gone controller=k1 "
                                "object=" + name)
            with self.assertFails("NOT_FOUND"):
                self.check(name)
            with self.assertFails("NOT_FOUND"):
                self.map(name)
        self.provision(self.mapped, node.MIB)
        disk = self.map(self.mapped)
        # From here its file has another path: cleaning up does not find it.
        self.addCleanup(self.unmap, self.mapped)
        self.assertEqual(node.read_disk(disk, node.MIB), bytes(node.MIB))


if __name__ == "__main__":
    node.main()
