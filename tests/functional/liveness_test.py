#!/usr/bin/python3 -B
"""Who is alive: controllers that register again and again, and those that
stop doing so."""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib

TCP = "daemon.listen=127.0.0.1:0"
CHECK = lib.CONTROLLER + "CheckMallocBDev"
TTL = 5  # seconds, the least


class Seen:
    """A controller as ListControllers has it."""

    def __init__(self, data):
        f = lib.fields(data)

        def text(number):
            return f.get(number, [b""])[0].decode()

        def number(number):
            return f.get(number, [0])[0]

        self.id, self.address, self.state = text(1), text(2), text(5)
        self.since, self.ttl, self.problem = number(6), number(7), text(8)


class Liveness(lib.Case):
    def start_registry(self):
        self.registry = self.daemon(TCP, name="registry")
        self.c = self.channel(self.registry)

    def restart_registry(self):
        address = self.registry.address
        self.registry.stop()
        self.registry = self.daemon("daemon.listen=" + address, name="registry")
        self.c = self.channel(self.registry)

    def start_controller(self, name, id="n1", interval="200ms"):
        return self.daemon(
            "registry.enabled=no",
            "controller.%s.plane=null" % id,
            "controller.%s.registry=%s" % (id, self.registry.address),
            "controller.%s.interval=%s" % (id, interval),
            name=name,
        )

    def register(self, id, address, ttl=None, instance=None):
        metadata = []
        if ttl is not None:
            metadata.append(("oim-ttl", ttl))
        if instance is not None:
            metadata.append(("oim-instance", instance))
        self.c.unary(
            lib.REGISTRY + "RegisterController",
            lib.message(id, address),
            metadata=metadata,
        )

    def seen(self):
        reply = lib.fields(self.c.unary(lib.ADMIN + "ListControllers"))
        return {s.id: s for s in map(Seen, reply.get(1, []))}

    def wait_for(self, id, state):
        def is_so():
            seen = self.seen().get(id)
            return seen if seen and seen.state == state else None

        return lib.wait_until(is_so, "state " + state)

    def n_lost(self):
        reply = lib.fields(self.c.unary(lib.ADMIN + "GetStatus"))
        return reply.get(12, [0])[0]

    # --- lost and found ---

    def test_a_killed_controller_is_lost_and_comes_back(self):
        self.start_registry()
        n1 = self.start_controller("n1")
        self.assertEqual(self.wait_for("n1", "ready").ttl, TTL)
        n1.kill()
        killed = time.time_ns()
        with self.assertFails("UNAVAILABLE", "does not answer: "):
            self.c.unary(CHECK, lib.message("d0"), metadata=lib.to("n1"))
        lost = self.wait_for("n1", "lost")
        self.assertGreater(lost.since, killed)
        self.assertGreater(lost.since, killed + (TTL - 1) * 10**9)
        lib.wait_until(lambda: self.n_lost() == 1, "the count")
        with self.assertFails(
            "UNAVAILABLE", "does not answer, and it has not registered since 20"
        ):
            self.c.unary(CHECK, lib.message("d0"), metadata=lib.to("n1"))
        self.registry.wait_for_log('controller "n1" is lost')
        self.start_controller("n1")
        again = self.wait_for("n1", "ready")
        self.assertEqual((again.since, again.problem), (0, ""))
        lib.wait_until(lambda: self.n_lost() == 0, "the count")
        with self.assertFails("NOT_FOUND"):
            self.c.unary(CHECK, lib.message("d0"), metadata=lib.to("n1"))

    def test_what_the_registry_knows_outlives_it(self):
        self.start_registry()
        self.register("gone", "127.0.0.1:1", "5", "a")
        self.wait_for("gone", "lost")
        self.register("n1", "127.0.0.1:1", "5", "a")
        self.register("far", "127.0.0.1:1", "3600", "a")
        self.register("fixed", "127.0.0.1:1")
        before = self.seen()
        self.restart_registry()
        after = self.seen()
        self.assertEqual(
            {id: s.state for id, s in after.items()},
            {"gone": "lost", "n1": "ready", "far": "ready", "fixed": "static"},
        )
        self.assertEqual(after["gone"].since, before["gone"].since)
        lib.wait_until(lambda: self.n_lost() == 1, "the count")
        self.wait_for("n1", "lost")
        self.assertEqual(self.seen()["far"].state, "ready")

    def test_what_is_registered_without_a_ttl_stays(self):
        self.start_registry()
        self.register("fixed", "127.0.0.1:1")
        self.register("alive", "127.0.0.1:1", "1")
        self.wait_for("alive", "lost")
        fixed = self.seen()["fixed"]
        self.assertEqual((fixed.state, fixed.since, fixed.ttl), ("static", 0, 0))
        self.register("alive", "127.0.0.1:1")
        self.assertEqual(self.seen()["alive"].state, "static")

    def test_an_unregistered_controller_is_not_lost_but_gone(self):
        self.start_registry()
        self.register("n1", "127.0.0.1:1", "5", "a")
        self.register("n2", "127.0.0.1:1", "5", "a")
        self.c.register("n1", "")
        self.wait_for("n2", "lost")
        self.assertEqual(list(self.seen()), ["n2"])
        self.c.register("n2", "")
        self.assertEqual(self.seen(), {})
        lib.wait_until(lambda: self.n_lost() == 0, "the count")
        self.assertNotIn('"n1" is lost', self.registry.log)

    def test_a_controller_of_the_registrys_own_daemon_is_ready(self):
        self.registry = self.daemon(
            TCP, "controller.here.plane=null", "controller.here.interval=1h"
        )
        self.c = self.channel(self.registry)
        self.assertEqual(self.wait_for("here", "ready").ttl, 3 * 3600)

    # --- arguments ---

    def test_a_ttl_that_is_no_number_is_refused(self):
        self.start_registry()
        for ttl in "", "-1", "5s", "x", "1e3":
            with self.subTest(ttl):
                with self.assertFails("INVALID_ARGUMENT", '"oim-ttl"'):
                    self.register("n1", "127.0.0.1:1", ttl)
        self.assertEqual(self.seen(), {})

    # --- two of one id ---

    def test_two_controllers_of_one_id_are_reported_while_it_goes_on(self):
        self.start_registry()
        first = self.start_controller("first")
        self.wait_for("n1", "ready")
        second = self.start_controller("second")
        problem = lib.wait_until(
            lambda: self.seen()["n1"].problem, "the problem"
        )
        self.assertIn("two controllers register this id in turn", problem)
        self.registry.wait_for_log('two controllers register as "n1" in turn')
        both = {first.address, second.address}
        found = set()

        def are_found():
            found.add(self.seen()["n1"].address)
            return found == both

        lib.wait_until(are_found, "both addresses")
        first.stop()
        lib.wait_until(lambda: not self.seen()["n1"].problem, "the end")
        self.assertEqual(self.seen()["n1"].address, second.address)
        self.assertEqual(self.registry.log.count("in turn"), 1)

    def test_a_controller_that_is_started_anew_is_not_reported(self):
        self.start_registry()
        for n in range(1, 4):
            n1 = self.start_controller("n1")
            lib.wait_until(
                lambda: self.registry.log.count("register controller") == n,
                "the registration",
            )
            self.assertEqual(self.seen()["n1"].state, "ready")
            n1.stop()
            self.assertEqual(self.seen()["n1"].problem, "")
        self.assertNotIn("in turn", self.registry.log)


if __name__ == "__main__":
    lib.main()
