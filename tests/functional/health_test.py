#!/usr/bin/python3 -B
"""grpc.health.v1.Health, as load balancers and operators ask it."""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import lib

TCP = "daemon.listen=127.0.0.1:0"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
SERVICES = ["", "oim.v0.Registry", "oim.v0.Controller", "oim.admin.v1.Admin"]


def status(response):
    return lib.fields(response).get(1, [0])[0]


class Base(lib.Case):
    def setUp(self):
        super().setUp()
        self.d = self.daemon(TCP, "controller.here.plane=null")
        self.c = self.channel(self.d)

    def check(self, service):
        return status(self.c.unary(lib.HEALTH + "Check", lib.message(service)))

    def list(self):
        reply = lib.fields(self.c.unary(lib.HEALTH + "List"))
        entries = [lib.fields(e) for e in reply[1]]
        return {
            e.get(1, [b""])[0].decode(): status(e[2][0]) for e in entries
        }

    def watch(self, service, channel=None):
        call = (channel or self.c).download(
            lib.HEALTH + "Watch", lib.message(service), timeout=None
        )
        self.addCleanup(call.cancel)
        return call


class Health(Base):
    def test_each_service_serves(self):
        for service in SERVICES:
            with self.subTest(service):
                self.assertEqual(self.check(service), SERVING)

    def test_a_service_that_is_not_here_is_not_found(self):
        for service in "oim.v0.registry", "csi.v1.Node", "x" * 10000:
            with self.subTest(service[:20]):
                with self.assertFails("NOT_FOUND", service[:1000]):
                    self.check(service)

    def test_the_list_has_all_of_them(self):
        self.assertEqual(self.list(), dict.fromkeys(SERVICES, SERVING))

    def test_what_is_disabled_is_not_there(self):
        d = self.daemon(TCP, "registry.enabled=no")
        self.c = self.channel(d)
        self.assertEqual(list(self.list()), ["", "oim.admin.v1.Admin"])

    def test_a_watch_begins_with_the_status(self):
        self.assertEqual(status(next(self.watch(""))), SERVING)
        unknown = self.watch("csi.v1.Node")
        self.assertEqual(status(next(unknown)), SERVICE_UNKNOWN)

    def test_a_watch_without_a_message_is_refused(self):
        watch = self.c.stream(lib.HEALTH + "Watch", [])
        with self.assertFails("INTERNAL", "no message"):
            next(watch)

    def test_watchers_may_come_and_go(self):
        for _ in range(20):
            watches = [self.watch(SERVICES[i % 4]) for i in range(50)]
            for watch in watches:
                self.assertEqual(status(next(watch)), SERVING)
            for watch in watches[::2] + watches[1::2]:
                watch.cancel()
        self.assertEqual(self.check(""), SERVING)
        with self.assertQuick():
            self.assertEqual(self.d.stop(), 0)


class Draining(Base):
    """While it stops but a call is still under way."""

    def setUp(self):
        super().setUp()

        def serve(call):
            call.wait_for_end()
            yield

        n1 = self.controller(serve)
        self.c.register("n1", n1.address)
        self.call = self.c.start("/t/Wait", b"", metadata=lib.to("n1"))
        n1.wait_for_call()
        self.watches = [self.watch(service) for service in SERVICES]
        for watch in self.watches:
            next(watch)
        self.d.signal(signal.SIGTERM)
        self.d.wait_for_log("stopping")

    def test_watchers_are_told(self):
        for watch in self.watches:
            self.assertEqual(status(next(watch)), NOT_SERVING)
            with self.assertFails("UNAVAILABLE", "shutting down"):
                next(watch)
        self.call.cancel()

    def test_whoever_asks_is_told(self):
        lib.wait_until(lambda: self.check("") == NOT_SERVING)
        self.assertEqual(self.list(), dict.fromkeys(SERVICES, NOT_SERVING))
        with self.assertFails("UNAVAILABLE", "shutting down"):
            self.c.entries()
        with self.assertFails("UNAVAILABLE", "shutting down"):
            next(self.watch(""))
        self.assertEqual(self.check(""), NOT_SERVING)
        self.call.cancel()


if __name__ == "__main__":
    lib.main()
