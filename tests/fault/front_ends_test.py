#!/usr/bin/python3 -B
"""Several registries that are one: two daemons, their data in etcd.

New controllers are registered all the time, RATE=1000 a second, through both
daemons, while members of etcd and daemons are killed, KILLS=10 times. SECONDS=1
lie between two kills.
"""

import collections
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import etcd
import lib

RATE = int(os.environ.get("RATE", 1000))
KILLS = int(os.environ.get("KILLS", 10))
SECONDS = float(os.environ.get("SECONDS", 1))

REGISTER = lib.REGISTRY + "RegisterController"
PREFIX = "oim/controllers/"

# How long a call may take that nobody limits, in seconds.
LIMIT = 15


class Load:
    """Registers new ids at that rate, in turn through each of the channels."""

    def __init__(self, channels, rate):
        self.channels = channels
        self.rate = rate
        self.known = {}  # id: address, of those that were answered
        self.failed = collections.Counter()
        self.failures = []  # when calls failed that were begun when
        self.answers = []  # when
        self.pending = set()
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        n = 0
        next_at = time.monotonic()
        while not self.over.is_set():
            n += 1
            self._register("c%d" % n, self.channels[n % len(self.channels)])
            next_at += 1 / self.rate
            time.sleep(max(0, next_at - time.monotonic()))
        self.n = n

    def _register(self, id, channel):
        address = "dns:///%s:1" % id
        began = time.monotonic()
        call = channel.start(REGISTER, lib.message(id, address))
        with self.lock:
            self.pending.add(call)
        call.add_done_callback(lambda c: self._done(c, id, address, began))

    def _done(self, call, id, address, began):
        now = time.monotonic()
        code = call.code()
        with self.lock:
            self.pending.discard(call)
            if code == grpc.StatusCode.OK:
                self.known[id] = address
                self.answers.append(now)
            else:
                self.failed[code.name] += 1
                self.failures.append((began, now))

    def stop(self):
        self.over.set()
        self.thread.join()
        lib.wait_until(lambda: not self.pending, "all answers")

    def n_answers(self):
        with self.lock:
            return len(self.answers)

    def longest_gap(self):
        """Seconds in which nothing was answered."""
        times = self.answers
        return max(b - a for a, b in zip(times, times[1:]))


class FrontEnds(etcd.Case):
    def setUp(self):
        super().setUp()
        self.etcd = self.cluster()
        self.ports = [lib.free_port() for _ in range(2)]
        self.daemons = [None, None]
        for i in range(2):
            self.begin(i)
        self.channels = [
            self.channel(
                "127.0.0.1:%d" % port,
                grpc__initial_reconnect_backoff_ms=100,
                grpc__max_reconnect_backoff_ms=200,
            )
            for port in self.ports
        ]

    def settings(self):
        endpoints = ["store.endpoints=" + e for e in self.etcd.endpoints]
        return ["store.engine=etcd", *endpoints]

    def begin(self, i, *settings):
        self.daemons[i] = self.daemon(
            "daemon.listen=127.0.0.1:%d" % self.ports[i],
            *self.settings(), *settings, name="d%d" % i)

    def check_all(self, load):
        """What was answered is there, through both, as it was answered, and
        nothing was written twice."""
        for channel in self.channels:
            entries = lib.wait_until(lambda: self.entries(channel))
            lost = {k for k, v in load.known.items() if entries.get(k) != v}
            self.assertEqual(lost, set())
            self.assertLessEqual(len(entries), load.n)
        found = json.loads(self.etcd.ctl("get", "--prefix", PREFIX, "-w", "json"))
        self.assertEqual({kv["version"] for kv in found["kvs"]}, {1})

    @staticmethod
    def entries(channel):
        try:
            return channel.entries()
        except grpc.RpcError:
            return None

    def report(self, what, load, gaps):
        print("# %s: %d registered, %d failed %s; no answer for %s s" % (
            what, len(load.known), sum(load.failed.values()),
            dict(load.failed), " ".join("%.2f" % g for g in gaps)), flush=True)

    def wait_for_answers(self, load, n):
        before = load.n_answers()
        lib.wait_until(lambda: load.n_answers() >= before + n, "answers")

    def gaps_of(self, load, begins):
        """The longest time without an answer in each part of the time."""
        ends = begins[1:] + [float("inf")]
        return [
            max((b - a for a, b in zip(load.answers, load.answers[1:])
                 if begin <= b and a < end), default=0)
            for begin, end in zip(begins, ends)]

    def run_load(self, what, kill):
        load = Load(self.channels, RATE)
        self.addCleanup(load.over.set)
        begins = []
        self.wait_for_answers(load, RATE // 2)
        for _ in range(KILLS):
            begins.append(time.monotonic())
            kill()
            self.wait_for_answers(load, int(RATE * SECONDS))
        load.stop()
        self.report(what, load, self.gaps_of(load, begins))
        self.check_all(load)
        return load

    # --- tests ---

    def test_what_one_does_all_see_at_once(self):
        a, b = self.channels
        a.register("x", "dns:///x:1")
        self.assertEqual(b.entries(), {"x": "dns:///x:1"})
        b.register("x", "dns:///x:2")
        self.assertEqual(a.entries(), {"x": "dns:///x:2"})
        a.register("x", "")
        self.assertEqual(b.entries(), {})

    def test_a_call_is_forwarded_by_whoever_gets_it(self):
        controller = self.controller(lib.echo)
        self.channels[0].register("n1", controller.address)
        for channel in self.channels:
            self.assertEqual(
                channel.unary("/t/Echo", b"hi", metadata=lib.to("n1")), b"hi")

    def test_nothing_is_lost_when_leaders_of_etcd_are_killed(self):
        def kill():
            leader = self.etcd.wait()
            leader.kill()
            self.etcd.wait()
            leader.start()
            self.etcd.wait()

        load = self.run_load("leader killed", kill)
        # Who asks while there is no leader may be told so, and nobody later.
        self.assertLess(sum(load.failed.values()), len(load.known))

    def test_nothing_is_lost_when_a_front_end_is_killed(self):
        def kill():
            i = len(victims) % 2
            victims.append(i)
            self.daemons[i].kill()
            self.begin(i)

        victims = []
        self.run_load("front end killed", kill)

    def test_without_quorum_calls_end_and_all_comes_back_by_itself(self):
        a, b = self.channels
        a.register("x", "dns:///x:1")
        victims = self.etcd.members[:2]
        for member in victims:
            member.kill()
        for channel in self.channels:
            for method, request in (
                (REGISTER, lib.message("y", "dns:///y:1")),
                (lib.REGISTRY + "GetControllers", b""),
                ("/t/Echo", b""),
            ):
                start = time.monotonic()
                with self.assertFails("UNAVAILABLE"):
                    channel.unary(method, request, metadata=lib.to("x"))
                self.assertLess(time.monotonic() - start, LIMIT)
        lib.wait_until(
            lambda: self.health(a) == b"\x08\x02", "the health to be bad")
        for member in victims:
            member.start()
        for channel in self.channels:
            lib.wait_until(lambda: self.entries(channel), "the registry")
        self.assertEqual(a.entries().get("x"), "dns:///x:1")
        lib.wait_until(
            lambda: self.health(b) == b"\x08\x01", "the health to be good")

    @staticmethod
    def health(channel):
        return channel.unary(lib.HEALTH + "Check")

    def oimctl(self, *args):
        command = [os.path.join(lib.B, "oimctl"), "--server",
                   "127.0.0.1:%d" % self.ports[1], "--plaintext", *args]
        return subprocess.run(command, capture_output=True, text=True,
                              timeout=lib.PATIENCE)

    def state(self, id):
        return self.oimctl("show", "controller", id, "-o",
                           "value=/state").stdout.strip()

    def test_who_is_lost_is_seen_by_all(self):
        node = self.daemon(
            "daemon.listen=127.0.0.1:0", "registry.enabled=no",
            "controller.n1.plane=null", "controller.n1.interval=500ms",
            "controller.n1.registry=127.0.0.1:%d" % self.ports[0],
            name="node")
        lib.wait_until(lambda: self.state("n1") == "ready", "n1")
        node.kill()
        lib.wait_until(lambda: self.state("n1") == "lost", "the loss")
        for d in self.daemons:
            d.wait_for_log('"n1" is lost')
        events = self.oimctl("events", "--kind", "controller.lost", "-o",
                             "value=/controllerId")
        self.assertEqual(events.stdout, "n1\n", events.stderr)
        with self.assertFails("UNAVAILABLE", "it has not registered since"):
            self.channels[1].unary("/t/Echo", b"", metadata=lib.to("n1"))

    def test_a_controller_needs_an_address_that_all_can_reach(self):
        d = self.daemon(
            "daemon.listen=" + self.path("sock"), "controller.n1.plane=null",
            *self.settings(), name="node", wait=False)
        self.assertEqual(d.wait(), 1)
        self.assertIn("controller.n1.address", d.log)

    def test_a_registry_moves_from_the_embedded_store_to_etcd(self):
        alone = self.daemon("daemon.listen=127.0.0.1:0", name="alone")
        for i in range(300):
            self.channel(alone).register("m%d" % i, "dns:///m%d:1" % i)
        entries = self.channel(alone).entries()
        file = self.path("state.json")
        self.run_oimd("alone", "--export", file)
        self.run_oimd("new", "--import", file, settings=self.settings())
        self.assertEqual(self.channels[0].entries(), entries)
        self.run_oimd("new", "--export", file, settings=self.settings())
        self.run_oimd("back", "--import", file)
        back = self.daemon("daemon.listen=127.0.0.1:0", name="back")
        self.assertEqual(self.channel(back).entries(), entries)

    def run_oimd(self, name, *args, settings=()):
        command = [lib.OIMD, "--config", "/dev/null", *args]
        for setting in ("daemon.run-dir=" + self.path(name, "run"),
                        "daemon.state-dir=" + self.path(name, "state"),
                        "controller.enabled=no", *settings):
            command += ["--set", setting]
        os.makedirs(self.path(name), exist_ok=True)
        subprocess.run(command, check=True, capture_output=True,
                       timeout=lib.PATIENCE)

    def test_a_node_works_while_etcd_is_down(self):
        address = "127.0.0.1:%d" % lib.free_port()
        self.daemon(
            "daemon.listen=" + address, "controller.n1.plane=null",
            *self.settings(), name="node")
        node = self.channel(address)
        lib.wait_until(lambda: "n1" in node.entries())
        for member in self.etcd.members:
            member.kill()
        volume = lib.message("v")
        start = time.monotonic()
        for metadata in lib.to("n1"), None:
            for method, request in (
                ("ProvisionMallocBDev", lib.message("v", 1 << 20)),
                ("CheckMallocBDev", volume),
                ("MapVolume", lib.message("v", b"")),
                ("UnmapVolume", volume),
                ("ProvisionMallocBDev", volume),
            ):
                node.unary(lib.CONTROLLER + method, request,
                           metadata=metadata)
        self.assertLess(time.monotonic() - start, 2)


if __name__ == "__main__":
    lib.main()
