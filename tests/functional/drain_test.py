#!/usr/bin/python3
"""How the daemon stops, and what its clients see of it."""

import os
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import h2
import lib

TCP = "daemon.listen=127.0.0.1:0"
to_n1 = lib.to("n1")


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
        ends = []

        def hammer(channel):
            try:
                while True:
                    channel.entries()
            except grpc.RpcError as e:
                ends.append(e.code())

        threads = [
            threading.Thread(target=hammer, args=[self.channel(d)])
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        lib.wait_until(lambda: d.fds() > 12)
        self.assertEqual(d.stop(), 0)
        for thread in threads:
            thread.join()
        self.assertEqual(set(ends), {grpc.StatusCode.UNAVAILABLE})


if __name__ == "__main__":
    lib.main()
