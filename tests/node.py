"""A node with a kernel plane, seen from outside.

Case starts, kills and starts again a daemon with one controller and real disks,
and looks at all that it could leave behind: records in its store, files in
memory, loop devices, nodes and links. What other daemons of this host do at the
same time does not matter.
"""

import contextlib
import fcntl
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import grpc

import lib

MIB = 1 << 20
LOOP_CTL_REMOVE = 0x4C81
BY_ID = "/dev/disk/by-id"
READY = ATTACHED = 2
STATES = {1: "begun", 2: "done", 3: "being undone"}


def missing():
    """What this host lacks for tests with real disks, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.access("/dev/loop-control", os.R_OK | os.W_OK):
        return "needs /dev/loop-control"
    for program in "strace", "mdb_dump":
        if not shutil.which(program):
            return "needs " + program
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"],
                           capture_output=True)
    return "needs ptrace" if probe.returncode else None


def main():
    """Runs the tests of a file that needs real disks."""
    reason = missing()
    if reason:
        print("1..0 # SKIP " + reason)
        sys.exit(77)
    lib.main()


# --- disks ---


def find_disk(device, scsi=""):
    """The name of the disk that a reply describes, by the specification."""
    names = set()
    for entry in os.listdir("/sys/dev/block"):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink("/sys/dev/block/" + entry)
            if device in target and (not scsi or ":%s/block/" % scsi in target):
                path = target.split("/block/")[-1]
                names.add(path.split("/")[0])
    assert len(names) == 1, (device, scsi, names)
    return names.pop()


def backing_file(disk):
    """The path of the file that a loop device is bound to, or None."""
    try:
        with open("/sys/block/%s/loop/backing_file" % disk) as f:
            return f.read().rstrip("\n")
    except OSError:
        return None


def bound_disks(directory):
    """The loop devices that are bound to files in there: {disk: name}."""
    found = {}
    for disk in os.listdir("/sys/block"):
        path = disk.startswith("loop") and backing_file(disk)
        if path and os.path.dirname(path) == directory:
            found[disk] = os.path.basename(path)
    return found


def is_left_over(disk):
    """Whether there is a loop device without a file, or only its node."""
    if os.path.exists("/sys/block/" + disk):
        return not backing_file(disk)
    return os.path.lexists("/dev/" + disk)


def remove_disk(disk):
    subprocess.run(["losetup", "-d", "/dev/" + disk], capture_output=True)
    with open("/dev/loop-control") as f, contextlib.suppress(OSError):
        fcntl.ioctl(f, LOOP_CTL_REMOVE, int(disk.removeprefix("loop")))


def write_disk(disk, data):
    with open("/dev/" + disk, "r+b") as f:
        f.write(data)


def read_disk(disk, size):
    with open("/dev/" + disk, "rb") as f:
        return f.read(size)


# --- records ---


class Record:
    """A record of a bdev or a mapping; fields as in state.proto."""

    def __init__(self, data):
        values = lib.fields(data)
        self.name = values[1][0].decode()
        self.state = values.get(3, [0])[0]
        self.token = values.get(6, [b""])[0]
        self.device = values.get(7, [b""])[0]

    @property
    def disk(self):
        """The kernel's name of the disk that a mapping has, or is to have."""
        found = re.match(rb"loop:(\d+):", self.token)
        return found and "loop" + found.group(1).decode()


def read_store(path):
    """All that is in the store, without what the store itself notes: {key:
    value}."""
    dump = subprocess.run(["mdb_dump", "-s", "kv", path], capture_output=True,
                          text=True, check=True).stdout.splitlines()
    lines = [bytes.fromhex(s) for s in dump if s.startswith(" ")]
    return {k.decode(): v[32:] for k, v in zip(lines[::2], lines[1::2])}


def read_records(path):
    """({name: Record} of bdevs, the same of mappings, {id: address})."""
    bdevs, mappings, controllers = {}, {}, {}
    for key, value in read_store(path).items():
        kind = key.split("/")[0]
        if kind == "controllers":
            entry = lib.fields(value)
            controllers[entry[1][0].decode()] = entry[2][0].decode()
        if kind in ("controllers", "alive", "liveness"):
            continue
        record = Record(value)
        {"bdevs": bdevs, "mappings": mappings}[kind][record.name] = record
    return bdevs, mappings, controllers


# --- killing ---


class Killed(Exception):
    """Nobody has answered a call."""


class Strace:
    """strace of all threads of a process, present and future."""

    def __init__(self, pid, options):
        self.tasks = "/proc/%d/task" % pid
        self.process = subprocess.Popen(
            ["strace", "-f", "-q", "-p", str(pid), *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        lib.wait_until(self._has_all, "strace")

    def _has_all(self):
        assert self.process.poll() is None, self.process.stderr.read()
        return all(self._is_traced(task) for task in os.listdir(self.tasks))

    def _is_traced(self, task):
        try:
            with open("%s/%s/status" % (self.tasks, task)) as f:
                return "TracerPid:\t0\n" not in f.read()
        except FileNotFoundError:
            return True

    def stop(self):
        """Whoever was traced goes on, or comes to its end."""
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


def killer(pid, syscall, n):
    """An strace that kills it just before its n-th call of a system call; the
    calls of each thread are counted."""
    return Strace(pid, ["-o", "/dev/null", *injection(syscall, n)])


def injection(syscall, n):
    return ["-e", "trace=" + syscall,
            "-e", "inject=%s:signal=SIGKILL:when=%d" % (syscall, n)]


# --- the node ---


class Case(lib.Case):
    """Tests with a daemon, self.d, and calls to it.

    self.expected says what should be there: {name: Volume}.
    """

    settings = ()

    def setUp(self):
        super().setUp()
        self.memory = tempfile.mkdtemp(prefix="oim-fault-", dir="/dev/shm")
        self.addCleanup(self._remove_all)
        self.prefix = os.path.basename(self.memory) + "-"
        self.store = self.path("node", "state", "store")
        self.disks_seen = set()  # that records have named
        self.files = None  # in the directories of the daemon
        self.d = self.c = None

    def _remove_all(self):
        for disk in bound_disks(self.memory):
            remove_disk(disk)
        for disk in self.disks_seen & set(os.listdir("/sys/block")):
            if not backing_file(disk):
                remove_disk(disk)
        for link in self.links():
            os.unlink("%s/%s" % (BY_ID, link))
        shutil.rmtree(self.memory, ignore_errors=True)

    def launch(self, **kwargs):
        """Starts the daemon, and perhaps does not wait for it."""
        return self.daemon(
            "controller.k1.plane=kernel",
            "controller.k1.memory-dir=" + self.memory,
            "controller.k1.malloc-limit=1G",
            *self.settings, name="node", **kwargs)

    def start(self):
        self.d = self.launch()
        self.c = self.channel(self.d)

    def has_died(self):
        """Waits until a daemon that was killed is gone."""
        self.c.close()
        self.d.wait()
        for record in read_records(self.store)[1].values():
            self.disks_seen.add(record.disk)

    def kill(self):
        self.d.signal(9)
        self.has_died()

    def restart(self):
        self.kill()
        self.start()

    def name(self, text):
        """A name that is nobody else's on this host."""
        return self.prefix + text

    def is_alive(self):
        """Whether the daemon answers, and so has not been killed."""
        with contextlib.suppress(grpc.RpcError):
            self.c.unary(lib.HEALTH + "Check")
            return True
        return False

    # --- calls ---

    def call(self, method, *values):
        try:
            return self.c.unary(method, lib.message(*values))
        except grpc.RpcError as e:
            if e.code() == grpc.StatusCode.UNAVAILABLE:
                raise Killed(e) from e
            raise

    def provision(self, name, size):
        self.call(lib.CONTROLLER + "ProvisionMallocBDev", name, size or None)

    def check(self, name):
        self.call(lib.CONTROLLER + "CheckMallocBDev", name)

    def map(self, name):
        """Maps, and returns the kernel's name of the disk."""
        reply = lib.fields(self.call(lib.CONTROLLER + "MapVolume", name, b""))
        return find_disk(*[reply.get(i, [b""])[0].decode() for i in (1, 2)])

    def unmap(self, name):
        self.call(lib.CONTROLLER + "UnmapVolume", name)

    def register(self, controller, address):
        self.call(lib.REGISTRY + "RegisterController", controller, address)

    # --- what there is ---

    def links(self):
        with contextlib.suppress(FileNotFoundError):
            return {s for s in os.listdir(BY_ID)
                    if s.startswith("oim-" + self.prefix)}
        return set()

    def check_links(self, disks):
        """disks: {name: disk} of all that is mapped."""
        self.assertEqual(self.links(), {"oim-" + name for name in disks})
        for name, disk in disks.items():
            self.assertEqual(os.readlink("%s/oim-%s" % (BY_ID, name)),
                             "../../" + disk)
        if os.path.isdir(BY_ID):
            drafts = {".oim-" + disk for disk in self.disks_seen}
            self.assertEqual(drafts & set(os.listdir(BY_ID)), set())

    def check_disks(self, disks):
        bound = {name: disk for disk, name in bound_disks(self.memory).items()}
        self.assertEqual(bound, disks)
        self.assertEqual(len(bound_disks(self.memory)), len(disks))
        self.disks_seen |= set(disks.values())
        gone = self.disks_seen - set(disks.values())
        # Other daemons may use the same numbers: what they begin they end.
        lib.wait_until(lambda: not any(map(is_left_over, gone)),
                       "the end of what is left over")

    def check_files(self, names):
        self.assertEqual(set(os.listdir(self.memory)), set(names))
        files = {os.path.join(at, name) for at, _, found in
                 os.walk(self.path("node")) for name in found}
        self.files = self.files or files
        self.assertEqual(files, self.files)

    def check_replies(self, bdevs, mappings):
        listed = {
            kind: sorted(lib.fields(item)[1][0].decode() for item in
                         lib.fields(self.call(lib.ADMIN + kind)).get(1, []))
            for kind in ("ListBDevs", "ListMappings")}
        self.assertEqual(listed["ListBDevs"], sorted(bdevs))
        self.assertEqual(listed["ListMappings"], sorted(mappings))

    def check_nothing_leaked(self):
        """Records, files, devices and links agree, and nothing is half done.

        Returns the names of bdevs, and {volume: disk}.
        """
        bdevs, mappings, _ = read_records(self.store)
        for records in bdevs, mappings:
            states = {r.name: STATES[r.state] for r in records.values()}
            self.assertEqual(states, dict.fromkeys(states, "done"))
        disks = {name: r.disk for name, r in mappings.items()}
        self.assertLessEqual(set(disks), set(bdevs))
        self.check_disks(disks)
        self.check_links(disks)
        self.check_files(bdevs)
        self.check_replies(bdevs, mappings)
        return set(bdevs), disks


def pattern(seed, size=MIB):
    """Data that is nowhere twice."""
    words = range(seed << 20, (seed << 20) + size // 8)
    return struct.pack("<%dQ" % len(words), *words)


def progress(text):
    print("# " + text, flush=True)


def elapsed(start):
    return "%.1f s" % (time.monotonic() - start)
