#!/usr/bin/python3 -B
"""oim.admin.v1.Admin/WatchEvents: followers that keep up, and that do not."""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import lib

TCP = "daemon.listen=127.0.0.1:0"
NULL = "controller.n1.plane=null"
KEPT = 10000


class Event:
    def __init__(self, data):
        f = lib.fields(data)
        self.position = f[1][0].decode()
        self.number = int(self.position.split(":")[1])
        self.kind = f[3][0].decode()
        self.controller = f.get(4, [b""])[0].decode()
        self.object = f.get(5, [b""])[0].decode()
        self.message = f[6][0].decode()


class Reply:
    def __init__(self, data):
        f = lib.fields(data)
        self.events = [Event(e) for e in f.get(1, [])]
        self.position = f[2][0].decode()


class Base(lib.Case):
    def watch(self, channel, after=None, oldest=None, kinds=(), **kwargs):
        request = lib.message(after) + b"".join(
            lib.field(2, kind) for kind in kinds
        )
        if oldest:
            request += lib.field(4, 1)
        call = channel.download(
            lib.ADMIN + "WatchEvents", request, timeout=None, **kwargs
        )
        self.addCleanup(call.cancel)
        return call

    def next(self, call):
        return Reply(next(call))

    def collect(self, call, n):
        """So many events; the call has begun."""
        events = []
        while len(events) < n:
            events += self.next(call).events
        self.assertEqual(len(events), n)
        return events

    def set_values(self, channel, n, size=1):
        """Changes a value so often, many at a time."""
        under_way = []
        for i in range(n):
            value = lib.message("n1/x", "%d" % i + "x" * size)
            under_way.append(
                channel.start(lib.REGISTRY + "SetValue", lib.message(value))
            )
            if len(under_way) == 100:
                for call in under_way:
                    call.result()
                under_way = []
        for call in under_way:
            call.result()


class Following(Base):
    def test_events_come_as_they_happen(self):
        c = self.channel(self.daemon(TCP, NULL))
        call = self.watch(c, kinds=["bdev", "volume"])
        self.assertEqual(self.next(call).events, [])
        c.unary(lib.CONTROLLER + "ProvisionMallocBDev", lib.message("d", 512))
        c.unary(lib.CONTROLLER + "ProvisionMallocBDev", lib.message("d", 0))
        self.assertEqual(
            [(e.kind, e.controller, e.object) for e in self.collect(call, 2)],
            [("bdev.provisioned", "n1", "d"), ("bdev.removed", "n1", "d")],
        )

    def test_20_000_events_pass_a_follower(self):
        n = 3000 if lib.is_sanitized() else 20000
        c = self.channel(self.daemon(TCP))
        call = self.watch(c)
        first = int(self.next(call).position.split(":")[1])
        numbers = []

        def set_some(count):
            self.set_values(c, count)
            while len(numbers) < done + count:
                numbers.extend(e.number for e in self.next(call).events)

        for done in range(0, n, 1000):
            set_some(1000)
        self.assertEqual(numbers, list(range(first + 1, first + n + 1)))

    def test_a_follower_goes_on_behind_a_position(self):
        c = self.channel(self.daemon(TCP))
        call = self.watch(c)
        self.next(call)
        self.set_values(c, 5)
        events = self.collect(call, 5)
        call.cancel()
        again = self.watch(c, after=events[1].position)
        self.next(again)
        self.assertEqual(
            [e.position for e in self.collect(again, 3)],
            [e.position for e in events[2:]],
        )

    def test_many_follow_at_once(self):
        d = self.daemon(TCP)
        c = self.channel(d)
        calls = [self.watch(c) for _ in range(200)]
        for call in calls:
            self.next(call)
        self.set_values(c, 10)
        for call in calls:
            self.collect(call, 10)

    def test_it_holds_no_worker(self):
        d = self.daemon(TCP, NULL, "limits.workers=1", "limits.queue=1")
        c = self.channel(d)
        calls = [self.watch(c) for _ in range(20)]
        for call in calls:
            self.next(call)
        c.unary(lib.CONTROLLER + "ProvisionMallocBDev", lib.message("d", 512))
        for call in calls:
            self.assertIn("bdev.provisioned", [
                e.kind for e in self.collect(call, 1)])


class Slow(Base):
    def test_a_slow_reader_costs_nothing_and_is_told_in_the_end(self):
        d = self.daemon(TCP)
        c = self.channel(d)
        slow = self.channel(d, grpc__http2__lookahead_bytes=4096)
        calls = [self.watch(slow) for _ in range(20)]
        for call in calls:
            self.next(call)
        self.set_values(c, KEPT, size=500)
        before = d.rss()
        self.set_values(c, KEPT, size=500)
        if not lib.is_sanitized():
            self.assertLess(d.rss() - before, 8 << 20)
        with self.assertQuick(5):
            self.assertEqual(c.entries(), {})
        for call in calls:
            with self.assertFails("OUT_OF_RANGE", "not kept any more"):
                for _ in call:
                    pass

    def test_one_that_has_gone_leaves_nothing(self):
        d = self.daemon(TCP)
        c = self.channel(d)
        for _ in range(10):
            calls = [self.watch(c) for _ in range(20)]
            for call in calls:
                self.next(call)
            self.set_values(c, 10)
            for call in calls:
                call.cancel()
        self.set_values(c, 10)
        with self.assertQuick():
            self.assertEqual(d.stop(), 0)


class Ends(Base):
    def test_positions_of_another_start_are_out_of_range(self):
        d = self.daemon(TCP, name="d")
        c = self.channel(d)
        position = self.next(self.watch(c)).position
        d.stop()
        c = self.channel(self.daemon(TCP, name="d"))
        with self.assertFails("OUT_OF_RANGE", "this daemon"):
            next(self.watch(c, after=position))

    def test_a_daemon_that_stops_ends_it(self):
        d = self.daemon(TCP)
        call = self.watch(self.channel(d))
        self.next(call)
        d.signal(signal.SIGTERM)
        with self.assertFails("UNAVAILABLE", "shutting down"):
            next(call)

    def test_what_is_kept_of_the_start_can_be_had(self):
        d = self.daemon(TCP, NULL)
        c = self.channel(d)
        lib.wait_until(c.entries, "the registration")
        call = self.watch(c, oldest=True)
        self.next(call)
        kinds = [e.kind for e in self.next(call).events]
        self.assertEqual(kinds, ["controller.registered"])


class Elsewhere(Base):
    """Forwarded, and by callers who have certificates."""

    def test_a_controller_of_another_daemon_is_followed(self):
        registry = self.daemon(TCP)
        c = self.channel(registry)
        node = self.daemon(
            TCP, NULL, "controller.n2.plane=null", "registry.enabled=no"
        )
        c.register("n2", node.address)
        call = self.watch(c, metadata=lib.to("n2"))
        self.next(call)
        for name in "n1", "n2":
            self.channel(node).unary(
                lib.CONTROLLER + "ProvisionMallocBDev",
                lib.message("d", 512),
                metadata=lib.to(name),
            )
        events = self.collect(call, 1)
        self.assertEqual(events[0].controller, "n2")

    def test_a_forwarded_follower_does_not_hold_up_the_stop(self):
        registry = self.daemon(TCP)
        c = self.channel(registry)
        node = self.daemon(TCP, NULL, "registry.enabled=no")
        c.register("n1", node.address)
        call = self.watch(c, metadata=lib.to("n1"))
        self.next(call)
        with self.assertQuick(5):
            registry.signal(signal.SIGTERM)
            with self.assertFails("UNAVAILABLE", "shutting down"):
                next(call)
            self.assertEqual(registry.wait(), 0)

    def test_only_administrators_follow(self):
        pki = lib.Pki(self.path("pki"))
        for name in "component.registry", "user.admin", "user.bob":
            pki.issue(name)
        pki.issue("host.n1")
        d = self.daemon(TCP, *pki.settings("component.registry"))

        def watch(name):
            c = self.channel(
                d,
                pki.client(name),
                grpc__ssl_target_name_override="component.registry",
            )
            return self.watch(c)

        self.next(watch("user.admin"))
        for name in "user.bob", "host.n1":
            with self.assertFails("PERMISSION_DENIED"):
                next(watch(name))


if __name__ == "__main__":
    lib.main()
