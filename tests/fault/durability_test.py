#!/usr/bin/python3 -B
"""What is answered is on the disk before the answer, and an intent before the act.

kill -9 proves nothing about that, since the kernel still has what was written.
So the system calls of the daemon are watched: a commit is an fdatasync of the
store's file and then a write of its root through an O_DSYNC descriptor.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib
import node

# What is watched, and what it stands for. Descriptors are of the store's file,
# the one that waits for the disk, and the directory of bdevs.
EVENTS = (
    ("sync", r"^fdatasync\(%(data)d\) += 0"),
    ("root", r"^pwrite64\(%(root)d, .*\) += \d+$"),
    ("file", r"^linkat\(.*, %(memory)d, .*\) += 0"),
    ("no file", r"^unlinkat\(%(memory)d, .*\) += 0"),
    ("disk", r"^ioctl\(.*LOOP_CONFIGURE"),
    ("no disk", r"^ioctl\(.*LOOP_CTL_REMOVE"),
    ("link", r"^rename\("),
    ("answer", r"^sendmsg\("),
)
CALLS = "fdatasync,pwrite64,linkat,unlinkat,ioctl,rename,sendmsg"

# Of HTTP/2 (RFC 9113).
HEADERS = END_STREAM = 1


def ends_a_stream(line):
    """Whether a sendmsg has trailers among its frames."""
    parts = re.findall(r'iov_base="((?:\\x[0-9a-f]{2})*)"', line)
    data = bytes.fromhex("".join(parts).replace("\\x", ""))
    while len(data) >= 9:
        if data[3] == HEADERS and data[4] & END_STREAM:
            return True
        data = data[9 + int.from_bytes(data[:3], "big"):]
    return False


class Durability(node.Case):
    def setUp(self):
        super().setUp()
        self.start()
        self.c.entries()  # so that it is connected
        self.volume = self.name("v")
        self.fds = {}
        for fd in os.listdir("/proc/%d/fd" % self.d.pid):
            self.look_at(int(fd))

    def look_at(self, fd):
        path = os.readlink("/proc/%d/fd/%d" % (self.d.pid, fd))
        with open("/proc/%d/fdinfo/%d" % (self.d.pid, fd)) as f:
            flags = int(re.search(r"flags:\s*(\d+)", f.read()).group(1), 8)
        if path.endswith("/data.mdb"):
            self.fds["root" if flags & os.O_DSYNC else "data"] = fd
        elif path == self.memory:
            self.fds["memory"] = fd

    def event(self, line):
        """What the line stands for, or None."""
        for event, what in EVENTS:
            if re.search(what % self.fds, line) and (
                    event != "answer" or ends_a_stream(line)):
                return event
        return None

    def events(self):
        """What has happened until a call was answered; None: it was not yet."""
        with open(self.path("trace")) as f:
            found = [e for e in map(self.event, join_halves(f)) if e]
        if "answer" in found:
            return found[: found.index("answer") + 1]
        return None

    def watch(self, call):
        """Calls, and returns what happened until it was answered."""
        strace = node.Strace(self.d.pid, [
            "-xx", "-z", "-s", "65536", "-e", "trace=" + CALLS,
            "-o", self.path("trace")])
        call()
        found = lib.wait_until(self.events, "the answer")
        strace.stop()
        return found

    def test_a_registration_is_durable_before_it_is_answered(self):
        def call():
            self.register("new", "dns:///new:1")

        self.assertEqual(self.watch(call), ["sync", "root", "answer"])
        self.assertEqual(self.watch(call), ["answer"])

    def test_the_end_of_a_registration_is_durable_before_it_is_answered(self):
        self.register("new", "dns:///new:1")
        self.assertEqual(self.watch(lambda: self.register("new", "")),
                         ["sync", "root", "answer"])

    def test_provisioning_is_durable_before_and_after_it_is_done(self):
        def call():
            self.provision(self.volume, node.MIB)

        self.assertEqual(self.watch(call), [
            "sync", "root", "file", "sync", "root", "answer"])
        self.assertEqual(self.watch(call), ["answer"])

    def test_removing_is_durable_before_and_after_it_is_done(self):
        def call():
            self.provision(self.volume, 0)

        self.provision(self.volume, node.MIB)
        self.assertEqual(self.watch(call), [
            "sync", "root", "no file", "sync", "root", "answer"])
        self.assertEqual(self.watch(call), ["answer"])

    def test_mapping_is_durable_before_and_after_it_is_done(self):
        def call():
            self.map(self.volume)

        self.provision(self.volume, node.MIB)
        self.assertEqual(self.watch(call), [
            "sync", "root", "disk", "link", "sync", "root", "answer"])
        self.assertEqual(self.watch(call), ["answer"])

    def test_unmapping_is_durable_before_and_after_it_is_done(self):
        def call():
            self.unmap(self.volume)

        self.provision(self.volume, node.MIB)
        self.map(self.volume)
        self.assertEqual(self.watch(call), [
            "sync", "root", "no disk", "sync", "root", "answer"])
        self.assertEqual(self.watch(call), ["answer"])


def join_halves(lines):
    """A call that another thread's line interrupts comes when it has ended."""
    begun, whole = {}, []
    for line in lines:
        thread, text = line.split(None, 1)
        text = text.rstrip("\n")
        if text.endswith(" <unfinished ...>"):
            begun[thread] = text.removesuffix(" <unfinished ...>")
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>", text)
        if resumed:
            text = begun.pop(thread, "") + text[resumed.end():]
        whole.append(text)
    return whole


if __name__ == "__main__":
    node.main()
