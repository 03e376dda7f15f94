#!/usr/bin/python3 -B
"""kill -9 at any moment under load, again and again.

Several clients provision, map, write, unmap, remove and register, each with a
volume of its own, until the daemon is killed. It is started again (sometimes it
is killed even then), the calls that were cut short are repeated, and all that
was ever answered must be true. ROUNDS=N says how often, SEED=N makes the same
choices again.
"""

import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import node

ROUNDS = int(os.environ.get("ROUNDS", 100))
SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))
CLIENTS = 4
SIZES = [512, 4096, node.MIB, node.MIB + 512]

# How long the daemon lives, in seconds, and how long it may take to start.
LIFE = 0.15
START = 0.03


class Client:
    """A volume and a controller's entry, and what is known of them.

    pending is the call under way: it is repeated until it is answered, and then
    done says what follows from it.
    """

    def __init__(self, case, number):
        self.case = case
        self.random = random.Random("%d.%d" % (SEED, number))
        self.volume = case.name("v%d" % number)
        self.id = "c%d" % number
        self.size = 0
        self.disk = None
        self.data = b""
        self.address = None
        self.pending = None
        self.problem = None
        self.calls = 0

    # --- what can be done, each a call and what follows ---

    def provision(self):
        size = self.size or self.random.choice(SIZES)
        is_new = not self.size

        def done(_):
            self.size = size
            if is_new:
                self.data = bytes(size)

        return lambda: self.case.provision(self.volume, size), done

    def remove(self):
        def done(_):
            self.size, self.data = 0, b""

        return lambda: self.case.provision(self.volume, 0), done

    def map(self):
        def done(disk):
            if self.disk:
                self.case.assertEqual(disk, self.disk)
            self.disk = disk

        return lambda: self.case.map(self.volume), done

    def unmap(self):
        def done(_):
            self.disk = None

        return lambda: self.case.unmap(self.volume), done

    def write(self):
        data = node.pattern(self.random.randrange(1 << 20), self.size)

        def call():
            node.write_disk(self.disk, data)

        def done(_):
            self.data = data

        return call, done

    def check(self):
        return lambda: self.case.check(self.volume), lambda _: None

    def register(self):
        address = "dns:///host:%d" % self.random.randrange(1 << 30)

        def done(_):
            self.address = address

        return lambda: self.case.register(self.id, address), done

    def choices(self):
        if self.disk:
            return self.map, self.write, self.unmap, self.provision, self.check
        if self.size:
            return (self.map, self.map, self.remove, self.provision,
                    self.unmap, self.check)
        return self.provision, self.provision, self.remove, self.unmap

    # --- doing it ---

    def finish(self):
        """Does what is pending, whether or not it was done before."""
        if self.pending:
            call, done = self.pending
            done(call())
            self.pending = None
            self.calls += 1

    def run(self):
        """Works until the daemon is gone."""
        try:
            while True:
                step = self.random.choice((*self.choices(), self.register))
                self.pending = step()
                self.finish()
        except node.Killed:
            pass
        except Exception as e:
            self.problem = e


class Load(node.Case):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.clients = [Client(self, i) for i in range(CLIENTS)]
        self.start()

    def kill_under_load(self):
        threads = [threading.Thread(target=c.run) for c in self.clients]
        for t in threads:
            t.start()
        time.sleep(self.random.uniform(0, LIFE))
        self.d.signal(9)
        for t in threads:
            t.join()
        self.has_died()
        for c in self.clients:
            if c.problem:
                raise c.problem

    def kill_at_start(self):
        self.d = self.launch(wait=False)
        time.sleep(self.random.uniform(0, START))
        self.d.signal(9)
        self.d.wait()

    def check_clients(self):
        """All that was answered is true, and nothing else."""
        bdevs, disks = self.check_nothing_leaked()
        self.assertEqual(bdevs, {c.volume for c in self.clients if c.size})
        self.assertEqual(
            disks, {c.volume: c.disk for c in self.clients if c.disk})
        for c in self.clients:
            if c.size:
                with open(os.path.join(self.memory, c.volume), "rb") as f:
                    self.assertTrue(f.read() == c.data, c.volume)
            if c.disk:
                self.assertTrue(
                    node.read_disk(c.disk, c.size) == c.data, c.disk)
        entries = self.c.entries()
        entries.pop("k1")
        self.assertEqual(
            entries, {c.id: c.address for c in self.clients if c.address})

    def test_whenever_it_is_killed_all_that_was_answered_is_true(self):
        interrupted = starts = 0
        for _ in range(ROUNDS):
            self.kill_under_load()
            interrupted += sum(bool(c.pending) for c in self.clients)
            while self.random.random() < 0.2:
                self.kill_at_start()
                starts += 1
            self.start()
            self.check_nothing_leaked()
            for c in self.clients:
                c.finish()
            self.check_clients()
        calls = sum(c.calls for c in self.clients)
        node.progress("seed %d: %d kills, %d of them at the start; %d calls, "
                      "%d cut short" % (SEED, ROUNDS + starts, starts, calls,
                                        interrupted))
        self.assertGreaterEqual(interrupted, ROUNDS)


if __name__ == "__main__":
    node.main()
