"""A cluster of etcd for tests: members that can be killed and come back.

Everything is on random ports of this host and in one directory; the members are
killed when the test ends, and with the test program.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading

import lib

TOOL = os.path.join(lib.B, "tests", "tools", "store_etcd")


def missing():
    """What this host lacks for tests with etcd, or None."""
    for program in "etcd", "etcdctl":
        if not shutil.which(program):
            return "needs " + program
    return None


class Member:
    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self.client = lib.free_port()
        self.peer = lib.free_port()
        self.process = None

    @property
    def peer_url(self):
        return "http://127.0.0.1:%d" % self.peer

    @property
    def endpoint(self):
        return "%s:%d" % (self.cluster.host, self.client)

    def start(self):
        c = self.cluster
        advertised = "%s://%s" % (c.scheme, self.endpoint)
        listen = "%s://%s:%d" % (c.scheme, c.listen, self.client)
        log = open(os.path.join(c.dir, self.name + ".log"), "ab")
        self.process = subprocess.Popen([
            "setpriv", "--pdeathsig", "KILL", "etcd", "--name", self.name,
            "--data-dir", os.path.join(c.dir, self.name),
            "--listen-client-urls", listen,
            "--advertise-client-urls", advertised,
            "--listen-peer-urls", self.peer_url,
            "--initial-advertise-peer-urls", self.peer_url,
            "--initial-cluster", ",".join(
                "%s=%s" % (m.name, m.peer_url) for m in c.members),
            "--heartbeat-interval", "20", "--election-timeout", "200",
            *c.options], stdout=log, stderr=log)
        log.close()

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Cluster:
    """Its members listen on an address and are called by a host's name.
    ctl_options are those that etcdctl needs to get in."""

    def __init__(self, n=3, options=(), scheme="http", host="127.0.0.1",
                 listen="127.0.0.1", ctl_options=()):
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.dir = tempfile.mkdtemp(prefix="oim-etcd-", dir=base)
        self.options = options
        self.scheme = scheme
        self.host = host
        self.listen = listen
        self.ctl_options = list(ctl_options)
        self.members = []
        for i in range(n):
            self.members.append(Member(self, "m%d" % i))
        for m in self.members:
            m.start()
        self.wait()

    def stop(self):
        for m in self.members:
            m.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def endpoints(self):
        return [m.endpoint for m in self.members]

    def running(self):
        return [m for m in self.members if m.process]

    def run_ctl(self, *args, members=None):
        members = self.running() if members is None else members
        return subprocess.run(
            ["etcdctl", "--endpoints",
             ",".join("%s://%s" % (self.scheme, m.endpoint) for m in members),
             "--command-timeout", "3s", *self.ctl_options, *args],
            capture_output=True, text=True,
            env={**os.environ, "ETCDCTL_API": "3"})

    def ctl(self, *args, members=None):
        done = self.run_ctl(*args, members=members)
        if done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout

    def status(self, member):
        """What a member says of itself, or None."""
        done = self.run_ctl("endpoint", "status", "-w", "json",
                            members=[member])
        found = re.search(r"^\[.*\]$", done.stdout, re.M)
        return json.loads(found.group(0))[0]["Status"] if found else None

    def leader(self):
        """The member that all others follow now, or None."""
        found = None
        for m in self.running():
            status = self.status(m)
            if not status or not status.get("leader"):
                return None
            if status["leader"] == status["header"]["member_id"]:
                found = m
        return found

    def wait(self):
        """Until there is a leader that all members know."""
        return lib.wait_until(self.leader, "a leader")

    def revision(self):
        return self.status(self.running()[0])["header"]["revision"]

    def settings(self, *more, endpoints=None):
        """What the tool is told to get in."""
        return ["endpoint=" + e for e in endpoints or self.endpoints] + list(more)


# When a program ends, threads of gRPC may still hold what OpenSSL keeps for
# each; the unit tests look for leaks.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}


class Tool:
    """tests/tools/store_etcd with some command, while it runs."""

    def __init__(self, settings, *command):
        self.lines = []
        self.process = subprocess.Popen(
            [TOOL, *settings, *command], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=ENVIRONMENT)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def output(self):
        return "".join(self.lines)

    def wait_for(self, text):
        lib.wait_until(lambda: text in self.output or
                       self.process.poll() is not None, "\"%s\"" % text)
        if text not in self.output:
            raise AssertionError(self.output)

    def finish(self):
        """Ends its input; its exit status."""
        self.process.stdin.close()
        status = self.process.wait(lib.PATIENCE)
        self.reader.join()
        self.process.stdout.close()
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Case(lib.Case):
    def setUp(self):
        super().setUp()
        reason = missing()
        if reason:
            self.skipTest(reason)

    def cluster(self, *args, **kwargs):
        c = Cluster(*args, **kwargs)
        self.addCleanup(c.stop)
        return c

    def tool(self, settings, *command):
        t = Tool(settings, *command)
        self.addCleanup(t.kill)
        return t

    def run_tool(self, settings, *command):
        """The output of a command that must succeed."""
        t = self.tool(settings, *command)
        self.assertEqual(t.finish(), 0, t.output)
        return t.output

    def fail_tool(self, settings, *command):
        """The output of one that must fail."""
        t = self.tool(settings, *command)
        self.assertEqual(t.finish(), 1, t.output)
        return t.output
