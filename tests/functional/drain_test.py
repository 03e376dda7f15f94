#!/usr/bin/python3 -B
"""How the daemon stops and reloads, and what its clients see of it."""

import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import h2
import lib

TCP = "daemon.listen=127.0.0.1:0"
to_n1 = lib.to("n1")
GET = lib.REGISTRY + "GetControllers"


class Drain(lib.Case):
    def test_a_call_in_flight_finishes(self):
        go_on = threading.Event()

        def serve(call):
            go_on.wait(lib.PATIENCE)
            yield b"done"

        d = self.daemon(TCP)
        n1 = self.controller(serve)
        c = self.channel(d)
        c.register("n1", n1.address)
        call = c.start("/t/Wait", b"", metadata=to_n1)
        n1.wait_for_call()
        d.signal(signal.SIGTERM)
        d.wait_for_log("stopping")
        go_on.set()
        self.assertEqual(call.result(), b"done")
        self.assertEqual(d.wait(), 0)

    def test_idle_connections_hold_nobody(self):
        d = self.daemon(TCP)
        c = self.channel(d)
        c.entries()  # and from now on nobody reads what comes
        silent = h2.connect(d.address)
        self.addCleanup(silent.close)
        silent.read_until(lambda f: f.type == h2.SETTINGS)
        with self.assertQuick():
            self.assertEqual(d.stop(), 0)

    def test_new_calls_are_unavailable_not_cancelled(self):
        d = self.daemon(TCP)
        answers, ends = [], []

        def hammer(channel):
            try:
                while True:
                    answers.append(channel.entries())
            except grpc.RpcError as e:
                ends.append(e.code())

        threads = [
            threading.Thread(target=hammer, args=[self.channel(d)])
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        lib.wait_until(lambda: len(answers) > 200)
        self.assertEqual(d.stop(), 0)
        for thread in threads:
            thread.join()
        self.assertEqual(set(ends), {grpc.StatusCode.UNAVAILABLE})


class Stop(lib.Case):
    def hang(self, call):
        call.wait_for_end()
        yield from ()

    def start(self, drain):
        self.d = self.daemon(TCP, "daemon.drain=" + drain)
        self.n1 = self.controller(self.hang)
        self.c = self.channel(self.d)
        self.c.register("n1", self.n1.address)
        self.call = self.c.start("/t/Hang", b"", metadata=to_n1)
        self.n1.wait_for_call()

    def test_a_stop_takes_as_long_as_it_may_and_no_longer(self):
        self.start("300ms")
        start = time.monotonic()
        self.assertEqual(self.d.stop(), 0)
        took = time.monotonic() - start
        self.assertGreater(took, 0.3)
        self.assertLess(took, 3)
        self.n1.calls[0].wait_for_end()
        with self.assertFails("UNAVAILABLE"):
            self.call.result()

    def test_a_stop_that_may_take_no_time_takes_none(self):
        self.start("0s")
        with self.assertQuick():
            self.assertEqual(self.d.stop(), 0)

    def test_a_stop_ends_as_soon_as_the_last_call_does(self):
        self.start("1h")
        self.d.signal(signal.SIGTERM)
        self.d.wait_for_log("stopping")
        self.call.cancel()
        with self.assertQuick():
            self.assertEqual(self.d.wait(), 0)

    def test_ctrl_c_is_a_stop_too(self):
        d = self.daemon(TCP)
        d.signal(signal.SIGINT)
        self.assertEqual(d.wait(), 0)

    def test_a_second_daemon_takes_over_at_once(self):
        port = lib.free_port()
        listen = "daemon.listen=127.0.0.1:%d" % port
        for i in range(5):
            d = self.daemon(listen, name="same")
            c = self.channel(d)
            c.register("n%d" % i, "127.0.0.1:1")
            self.assertEqual(len(c.entries()), i + 1)
            self.assertEqual(d.stop(), 0)

    def test_a_stop_while_clients_come_and_go_is_clean(self):
        """Whatever a connection is about to do."""
        for i in range(10):
            d = self.daemon(TCP)
            clients = [h2.connect(d.address) for _ in range(20)]
            for n, c in enumerate(clients):
                if n % 3:
                    c.request(h2.request_headers(GET), h2.grpc_message(b""))
                if n % 3 == 2:
                    c.close()
            self.assertEqual(d.stop(), 0, d.log)
            for c in clients:
                c.close()


class Status(lib.Case):
    def test_the_status_may_be_asked_for_from_the_start_to_the_end(self):
        address = "127.0.0.1:%d" % lib.free_port()
        answers = []
        over = threading.Event()

        def ask():
            c = lib.Channel(address, grpc__initial_reconnect_backoff_ms=50)
            while not over.is_set():
                try:
                    answers.append(c.unary(lib.ADMIN + "GetStatus"))
                except grpc.RpcError:
                    time.sleep(0.01)
            c.close()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            d = self.daemon(
                "daemon.listen=" + address,
                "controller.n1.plane=null",
                "controller.n2.plane=null",
            )
            n = len(answers)
            lib.wait_until(lambda: len(answers) > n + 50)
            self.assertEqual(d.stop(), 0, d.log[-3000:])
        over.set()
        for thread in threads:
            thread.join()


class Reload(lib.Case):
    def setUp(self):
        super().setUp()
        self.config = self.path("oimd.conf")
        self.write("info")
        self.d = self.daemon(TCP, config=self.config)
        self.c = self.channel(self.d)

    def write(self, level):
        with open(self.config, "w") as f:
            f.write("[log]\nlevel = %s\n" % level)

    def reload(self, words="main: reloaded"):
        n = len(self.d.lines)
        self.d.signal(signal.SIGHUP)
        lib.wait_until(lambda: words in "".join(self.d.lines[n:]), words)

    def test_the_log_level_changes(self):
        self.c.entries()
        self.assertNotIn("debug", self.d.log)
        self.write("debug")
        self.reload()
        self.c.entries()
        self.d.wait_for_log("debug rpc: call method=GetControllers")
        self.write("info")
        self.reload()
        lines = len(self.d.lines)
        self.c.entries()
        self.c.register("n1", "x")
        self.d.wait_for_log("audit: register controller object=n1")
        self.assertNotIn("debug", "".join(self.d.lines[lines:]))

    def test_a_bad_file_changes_nothing(self):
        for bad in "[log]\nlevel = loud\n", "[nonsense]\nx = 1\n", "nonsense\n":
            with self.subTest(bad):
                with open(self.config, "w") as f:
                    f.write(bad)
                self.reload("not reloaded, the old settings stay")
                self.assertEqual(self.c.entries(), {})

    def test_a_file_that_is_gone_changes_nothing(self):
        os.unlink(self.config)
        self.reload("not reloaded, the old settings stay")
        self.assertEqual(self.c.entries(), {})

    def test_calls_go_on_meanwhile(self):
        requests = lib.Requests()
        n1 = self.controller(lib.echo)
        self.c.register("n1", n1.address)
        replies = self.c.stream("/t/Echo", requests, metadata=to_n1)
        for i in range(20):
            self.d.signal(signal.SIGHUP)
            requests.send(b"%d" % i)
            self.assertEqual(next(replies), b"%d" % i)
        requests.close()


if __name__ == "__main__":
    lib.main()
