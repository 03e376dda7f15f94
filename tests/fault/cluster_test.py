#!/usr/bin/python3 -B
"""The main job, as a host of a cluster does it, whoever is killed meanwhile.

One daemon has the registry and nothing else, another a controller with a kernel
plane; both are reached over TCP with mutual TLS, and the host may speak to the
registry only. It provisions and maps a volume, makes a file system, writes,
unmaps, maps again, reads, and removes all of it. In each round every command is
run while one of the daemons is killed, at some moment, and is then repeated.
CLUSTER_ROUNDS=N says how often, SEED=N makes the same choices again.
"""

import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import lib
import node

OIMCTL = os.path.join(lib.B, "oimctl")
ROUNDS = int(os.environ.get("CLUSTER_ROUNDS", 20))
SEED = int(os.environ.get("SEED", time.time_ns() % 1000000))

# Longer than any command takes, in seconds, so that some are not hit.
COMMAND = 0.04
HOST = "host.k1"
OF_REGISTRY = {"grpc__ssl_target_name_override": "component.registry"}
OF_CONTROLLER = {"grpc__ssl_target_name_override": "controller.k1"}


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


class Cluster(node.Case):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.pki = lib.Pki(self.path("pki"))
        for name in "component.registry", "controller.k1", HOST, "user.admin":
            self.pki.issue(name)
        self.addresses = {
            name: "127.0.0.1:%d" % lib.free_port()
            for name in ("registry", "node")
        }
        self.daemons = {}
        self.volume = self.name("data")
        self.link = "%s/oim-%s" % (node.BY_ID, self.volume)
        self.mount_point = self.path("mnt")
        os.mkdir(self.mount_point)
        self.addCleanup(self.unmount)
        self.kills = 0
        for name in self.addresses:
            self.begin(name)
        self.c = self.channel(
            self.addresses["registry"], self.pki.client("user.admin"),
            **OF_REGISTRY)
        lib.wait_until(lambda: "k1" in self.c.entries())

    # --- the daemons ---

    def begin(self, name):
        settings = {
            "registry": self.pki.settings("component.registry"),
            "node": [
                "registry.enabled=no",
                "controller.k1.plane=kernel",
                "controller.k1.memory-dir=" + self.memory,
                "controller.k1.malloc-limit=1G",
                "controller.k1.registry=" + self.addresses["registry"],
                *self.pki.settings("controller.k1"),
            ],
        }
        self.daemons[name] = self.daemon(
            "daemon.listen=" + self.addresses[name], "daemon.plaintext=no",
            *settings[name], name=name)

    def kill_and_begin(self, name):
        self.daemons[name].signal(9)
        self.daemons[name].wait()
        self.kills += 1
        self.begin(name)

    def call(self, method, *values):
        return self.c.unary(
            method, lib.message(*values), metadata=lib.to("k1"))

    # --- the host ---

    def oimctl(self, *args):
        return subprocess.Popen(
            [OIMCTL, "--server", self.addresses["registry"],
             "--cacert", self.pki.path("ca.crt"),
             "--cert", self.pki.path(HOST + ".crt"),
             "--key", self.pki.path(HOST + ".key"),
             "--controller", "k1", *args],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={"PATH": os.environ["PATH"], "HOME": self.dir})

    def has_succeeded(self, *args):
        child = self.oimctl(*args)
        self.output = child.communicate(timeout=lib.PATIENCE)[0]
        return child.returncode == 0

    def do(self, *args):
        """The command, while a daemon is killed, and again."""
        child = self.oimctl(*args)
        time.sleep(self.random.uniform(0, COMMAND))
        self.kill_and_begin(self.random.choice(list(self.daemons)))
        child.communicate(timeout=lib.PATIENCE)
        lib.wait_until(lambda: self.has_succeeded(*args), " ".join(args))
        self.assertTrue(self.has_succeeded(*args), self.output)

    # --- the file system ---

    def mount(self):
        run("mount", self.link, self.mount_point)

    def unmount(self):
        if os.path.ismount(self.mount_point):
            run("umount", self.mount_point)

    def write(self, data):
        with open(self.path("mnt", "data"), "wb") as f:
            f.write(data)
            for name in self.daemons:
                self.kill_and_begin(name)
            f.write(data)
            os.fsync(f.fileno())

    def read(self):
        with open(self.path("mnt", "data"), "rb") as f:
            return f.read()

    # --- tests ---

    def test_only_the_registry_reaches_the_controller(self):
        direct = self.channel(
            self.addresses["node"], self.pki.client(HOST), **OF_CONTROLLER)
        check = lib.CONTROLLER + "CheckMallocBDev"
        with self.assertFails("PERMISSION_DENIED", HOST):
            direct.unary(check, lib.message(self.volume))
        self.assertFalse(self.has_succeeded("check", self.volume))
        self.assertIn(self.volume, self.output)

    def test_the_main_job_ends_the_same_whoever_is_killed(self):
        for number in range(ROUNDS):
            data = node.pattern(number)
            self.do("provision", self.volume, "16M")
            self.do("map", self.volume)
            run("mkfs.ext4", "-q", self.link)
            self.mount()
            self.write(data)
            self.unmount()
            self.do("unmap", self.volume)
            self.assertFalse(os.path.lexists(self.link))
            self.do("map", self.volume)
            self.mount()
            self.assertTrue(self.read() == 2 * data)
            self.unmount()
            self.do("unmap", self.volume)
            self.do("provision", self.volume, "0", "--yes")
            self.assertEqual(self.check_nothing_leaked(), (set(), {}))
            self.assertEqual(self.c.entries(), {"k1": self.addresses["node"]})
        node.progress("seed %d: %d kills" % (SEED, self.kills))


if __name__ == "__main__":
    node.main()
