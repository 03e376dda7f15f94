"""A cluster of etcd for tests, whose members can be killed and started again."""

import json
import os
import shutil
import subprocess
import tempfile

import lib


class Cluster:
    """Three members, unless it is said otherwise; elections take 0.2 s."""

    def __init__(self, case, members=3, host="127.0.0.1"):
        self.directory = tempfile.mkdtemp(prefix="oim-etcd-", dir="/dev/shm")
        case.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        case.addCleanup(self.kill_all)
        self.clients = ["%s:%d" % (host, lib.free_port())
                        for _ in range(members)]
        self.peers = ["127.0.0.1:%d" % lib.free_port()
                      for _ in range(members)]
        self.members = [None] * members
        for i in range(members):
            self.start(i)
        lib.wait_until(self.leader, "a leader of etcd")

    def start(self, i):
        cluster = ",".join("m%d=http://%s" % p for p in enumerate(self.peers))
        state = "existing" if self.members[i] else "new"
        self.members[i] = subprocess.Popen(
            ["etcd", "--name", "m%d" % i,
             "--data-dir", "%s/m%d" % (self.directory, i),
             "--listen-client-urls", "http://" + self.clients[i],
             "--advertise-client-urls", "http://" + self.clients[i],
             "--listen-peer-urls", "http://" + self.peers[i],
             "--initial-advertise-peer-urls", "http://" + self.peers[i],
             "--initial-cluster", cluster,
             "--initial-cluster-state", state,
             "--heartbeat-interval", "20", "--election-timeout", "200",
             "--log-level", "error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, i):
        self.members[i].kill()
        self.members[i].wait()

    def kill_all(self):
        for i in range(len(self.members)):
            self.kill(i)

    def is_running(self, i):
        return self.members[i].poll() is None

    # --- what it says ---

    def ctl(self, *words, members=None):
        """What etcdctl prints, asked of those members; None if it fails."""
        if members is None:
            members = filter(self.is_running, range(len(self.members)))
        endpoints = ",".join(self.clients[i] for i in members)
        done = subprocess.run(
            ["etcdctl", "--endpoints", endpoints, "--command-timeout=3s",
             *words],
            env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True,
            text=True)
        return done.stdout if done.returncode == 0 else None

    def leader(self):
        """The number of the member that leads, as all that run see it, in a
        list, or nothing."""
        running = [i for i in range(len(self.members)) if self.is_running(i)]
        text = self.ctl("endpoint", "status", "-w", "json", members=running)
        if not text:
            return []
        status = [s["Status"] for s in json.loads(text)]
        leaders = {s["leader"] for s in status}
        if len(status) < len(running) or len(leaders) != 1:
            return []
        ids = [s["header"]["member_id"] for s in status]
        return [running[ids.index(i)] for i in leaders if i in ids]

    def kill_leader(self):
        """Returns which it was."""
        (i,) = lib.wait_until(self.leader, "a leader of etcd")
        self.kill(i)
        return i

    def versions(self, prefix):
        """How often each key was written since it was made."""
        text = self.ctl("get", "--prefix", prefix, "-w", "json")
        return [kv["version"] for kv in json.loads(text).get("kvs", [])]

    # --- for oimd ---

    def settings(self):
        return ["store.engine=etcd",
                *["store.endpoints=" + c for c in self.clients]]


def missing():
    """What this host lacks for tests with etcd, or None."""
    for program in "etcd", "etcdctl":
        if not shutil.which(program):
            return "needs " + program
    return None
