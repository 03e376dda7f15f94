#!/usr/bin/python3 -B
"""Many cycles of provision, map, unmap and remove: nothing grows.

CYCLES=N and KERNEL_CYCLES=N say how many, on the null and on the kernel plane.
"""

import concurrent.futures
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib
import node

CYCLES = int(os.environ.get("CYCLES", 10000))
KERNEL_CYCLES = int(os.environ.get("KERNEL_CYCLES", 500))
CLIENTS = 4

# What may grow from the middle to the end: pages of the heap that were not
# touched before, and of the store while more calls than before are under way;
# threads of gRPC core. A leak of 64 bytes in each call, or of a page or a thread
# in each cycle, would be more.
SLACK = 1 << 20
STORE_SLACK = 1 << 17
THREAD_SLACK = 8


class Measure:
    """What a daemon has of everything."""

    def __init__(self, daemon, store):
        self.rss = daemon.rss()
        self.fds = daemon.fds()
        self.threads = len(os.listdir("/proc/%d/task" % daemon.pid))
        self.store = os.stat(os.path.join(store, "data.mdb")).st_size

    def __str__(self):
        return "%d KiB of memory, %d descriptors, %d threads, %d KiB of store" % (
            self.rss >> 10, self.fds, self.threads, self.store >> 10)


class Soak(node.Case):
    def cycle(self, name, work):
        """work() happens while the volume is mapped."""
        self.provision(name, node.MIB)
        work(name)
        self.unmap(name)
        self.provision(name, 0)

    def run_cycles(self, n, work):
        """Several clients at once; each client has its names."""
        def client(number):
            for i in range(n // CLIENTS):
                self.cycle(self.name("v%d-%d" % (number, i % 7)), work)

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for done in [pool.submit(client, i) for i in range(CLIENTS)]:
                done.result()

    def soak(self, n, work):
        """Half of the cycles to warm up, the other half to measure."""
        start = time.monotonic()
        self.run_cycles(n // 2, work)
        before = Measure(self.d, self.store)
        self.run_cycles(n - n // 2, work)
        after = Measure(self.d, self.store)
        node.progress("%d cycles in %s" % (n, node.elapsed(start)))
        node.progress("in the middle: %s" % before)
        node.progress("at the end:    %s" % after)
        self.assertEqual(after.fds, before.fds)
        self.assertLess(after.threads, before.threads + THREAD_SLACK)
        self.assertLess(after.store, before.store + STORE_SLACK)
        if not lib.is_sanitized():
            self.assertLess(after.rss, before.rss + SLACK)

    def assert_nothing_left(self):
        bdevs, mappings, _ = node.read_records(self.store)
        self.assertEqual((bdevs, mappings), ({}, {}))


class Null(Soak):
    def setUp(self):
        super().setUp()
        self.d = self.daemon("controller.k1.plane=null", name="node")
        self.c = self.channel(self.d)

    def test_nothing_grows_on_the_null_plane(self):
        def work(name):
            self.call(lib.CONTROLLER + "MapVolume", name, b"")

        self.soak(CYCLES, work)
        self.assert_nothing_left()


class Kernel(Soak):
    def setUp(self):
        super().setUp()
        reason = node.missing()
        if reason:
            self.skipTest(reason)
        self.start()

    def test_nothing_grows_on_the_kernel_plane(self):
        def work(name):
            disk = self.map(name)
            node.write_disk(disk, node.pattern(1))
            self.disks_seen.add(disk)

        self.soak(KERNEL_CYCLES, work)
        self.assert_nothing_left()
        self.check_nothing_leaked()


if __name__ == "__main__":
    lib.main()
