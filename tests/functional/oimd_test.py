#!/usr/bin/python3
"""oimd as an operator starts it: options, starts that fail, reloading, its log."""

import glob
import json
import os
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import lib

CLEAN = {"ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}


class Run(lib.Case):
    """Runs that end by themselves."""

    def run_oimd(self, *args, status=0):
        done = subprocess.run([lib.OIMD, *args], capture_output=True, text=True,
                              env={**os.environ, **CLEAN}, timeout=lib.PATIENCE)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)


class Options(Run):
    def test_the_version_is_printed(self):
        self.assertRegex(self.run_oimd("--version").stdout, r"^oimd \d+\.\d+")

    def test_wrong_options_are_status_2(self):
        for args, words in ((["--bogus"], "--bogus"), (["bogus"], '"bogus"'),
                            (["--config"], "config"),
                            (["--set", "x"], "SECTION.KEY=VALUE"),
                            (["--set", "log.level=loud"], "log.level = loud"),
                            (["--log-level", "loud"], "log.level = loud"),
                            (["--config", self.path("no")], self.path("no"))):
            with self.subTest(args):
                done = self.run_oimd(*args, status=2)
                self.assertIn(words, done.stderr)
                self.assertTrue(done.stderr.startswith("oimd: "))

    def test_a_good_configuration_is_checked_in_silence(self):
        done = self.run_oimd("--config", "/dev/null", "--log-level", "debug",
                             "--check-config")
        self.assertEqual((done.stdout, done.stderr), ("", ""))

    def test_the_configuration_that_is_printed_is_one(self):
        args = ["--set", "controller.a b.plane=null", "--set",
                "daemon.listen=" + self.path("s"), "--set", "log.level=debug",
                "--set", "store.path=" + self.path("store")]
        printed = self.run_oimd("--config", "/dev/null", "--print-config",
                                *args).stdout
        again = self.run_oimd("--config", self.write("c.conf", printed),
                              "--print-config").stdout
        self.assertEqual(*[[line for line in text.splitlines()
                            if not line.startswith("#")]
                           for text in (printed, again)])

    def test_a_demonstration_leaves_nothing(self):
        before = set(glob.glob("/tmp/oim-demo-*"))
        run_dir = self.path("run")
        process = subprocess.Popen(
            [lib.OIMD, "--config", "/dev/null", "--demo", "--set",
             "daemon.run-dir=" + run_dir],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        self.assertIn("listening on", process.stdout.readline())
        channel = self.channel("unix:%s/oimd.sock" % run_dir)
        lib.wait_until(channel.entries, "the registration")
        channel.close()
        process.terminate()
        _, log = process.communicate(timeout=lib.PATIENCE)
        self.assertEqual(process.returncode, 0, log)
        self.assertEqual(set(glob.glob("/tmp/oim-demo-*")), before)


class Starts(Run):
    """A start that fails says why, with status 1, and leaves no socket."""

    def fail_to_start(self, words, *settings):
        args = ["--config", "/dev/null"]
        for s in ("daemon.listen=" + self.path("s"), "daemon.state-dir=" +
                  self.path("state"), *settings):
            args += ["--set", s]
        done = self.run_oimd(*args, status=1)
        self.assertIn(words, done.stderr)
        self.assertNotIn("listening", done.stdout)
        self.assertFalse(os.path.exists(self.path("s")))
        return done.stderr

    def test_with_an_unknown_plane(self):
        self.fail_to_start('controller "k1": there is no plane "kernle"',
                           "controller.k1.plane=kernle")

    def test_with_memory_that_is_none(self):
        self.fail_to_start("is not on a tmpfs", "controller.k1.plane=kernel",
                           "controller.k1.memory-dir=/sys/kernel")

    def test_with_a_registry_that_cannot_be_dialled(self):
        self.fail_to_start("foo://x", "controller.k1.plane=null",
                           "controller.k1.registry=foo://x")

    def test_with_tcp_and_no_certificates(self):
        self.fail_to_start("certificates", "controller.k1.plane=null",
                           "daemon.listen=127.0.0.1:0")

    def test_with_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.fail_to_start(address, "controller.k1.plane=null",
                               "daemon.plaintext=yes",
                               "daemon.listen=" + address)

    def test_with_certificates_that_are_not_there(self):
        self.fail_to_start(
            self.path("ca"), "controller.k1.plane=null",
            *["tls.%s=%s" % (k, self.path(k)) for k in ("ca", "cert", "key")])

    def test_with_a_store_that_another_daemon_has(self):
        d = self.daemon(name="first")
        said = self.fail_to_start("process %d has it open" % d.pid,
                                  "controller.enabled=no", "store.path=" +
                                  self.path("first", "state", "store"))
        self.assertNotIn("Sanitizer", said)
        self.channel(d).register("still", "here")

    def test_with_a_state_that_cannot_be_written(self):
        self.fail_to_start("/proc/nothing", "controller.enabled=no",
                           "daemon.state-dir=/proc/nothing/here")


class Log(Run):
    FORMATS = "text", "logfmt", "json"

    def test_no_secret_is_in_the_log_at_any_level_or_format(self):
        secret, user = "hush-hush-secret", "hush-hush-user"
        ceph = lib.message(secret, user, "192.0.2.1:6789", "rbd", "one")
        swapped = lib.message(user, "AQBSdFhcGthbGhAA2yKfkGsgzxZNSx8bCPJ0Ww==",
                              "192.0.2.1:6789", "rbd", "one")
        draft = b"".join(lib.field(2, lib.message(*pair)) for pair in (
            ("type", "ceph"), ("secret", secret), ("bogus", secret)))
        for form in self.FORMATS:
            d = self.daemon("controller.k1.plane=null", "log.level=debug",
                            "log.format=" + form)
            c = self.channel(d)
            c.unary(lib.CONTROLLER + "MapVolume", lib.message("v", None, ceph))
            for request in (lib.message("w", None, swapped),
                            lib.field(1, "w") + draft,
                            lib.message("a/b", None, ceph)):
                with self.assertFails("INVALID_ARGUMENT") as caught:
                    c.unary(lib.CONTROLLER + "MapVolume", request)
                self.assertNotIn("hush", str(caught.exception))
            reply = c.unary(lib.ADMIN + "ListMappings")
            self.assertNotIn(b"hush", reply)
            c.close()
            d.stop()
            self.assertIn("map volume", d.log)
            self.assertNotIn("hush", d.log)
            self.assertNotIn("AQBSdFhc", d.log)

    def test_each_line_of_json_is_an_object(self):
        d = self.daemon("controller.k1.plane=null", "log.level=debug",
                        "log.format=json")
        c = self.channel(d)
        c.register('quo"te', "back\\slash")
        with self.assertFails("INVALID_ARGUMENT"):
            c.register("a\nb", "x")
        c.close()
        d.stop()
        lines = [json.loads(line) for line in d.log.splitlines()]
        self.assertIn('quo"te', [line.get("object") for line in lines])
        for line in lines:
            self.assertLessEqual({"time", "level", "component", "msg"},
                                 set(line))

    def test_who_asked_is_in_the_audit(self):
        d = self.daemon()
        self.channel(d).register("n1", "dns:///n1:1")
        d.wait_for_log(r"audit: register controller object=n1 uid=%d pid=%d "
                       r"peer=\S+ code=OK" % (os.getuid(), os.getpid()))


class Reload(Run):
    def setUp(self):
        super().setUp()
        self.file = self.write("oimd.conf", "[log]\nlevel = error\n")
        self.d = self.daemon("log.format=json", config=self.file)

    def hang_up(self, text, expected):
        self.write("oimd.conf", text)
        self.d.signal(signal.SIGHUP)
        self.d.wait_for_log(expected)

    def test_a_new_level_is_taken_over(self):
        self.assertEqual(self.d.log, "")
        self.hang_up("[log]\nlevel = info\n", "reloaded")

    def test_a_bad_file_changes_nothing(self):
        self.hang_up("[log]\nlevel = loud\n",
                     r"not reloaded, the old settings stay: \S+oimd.conf:2: "
                     r"log.level = loud")
        self.hang_up("[log]\nlevle = warn\n", "unknown key")
        c = self.channel(self.d)
        c.register("still", "here")
        self.assertEqual(c.entries(), {"still": "here"})
        self.assertNotIn("register controller", self.d.log)


class Systemd(Run):
    def setUp(self):
        super().setUp()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.settimeout(lib.PATIENCE)
        self.socket.bind(self.path("notify"))

    def told(self):
        return dict(line.split("=", 1) for line in
                    self.socket.recv(4096).decode().splitlines())

    def test_it_is_told_when_the_daemon_is_ready_reloads_and_stops(self):
        d = self.daemon(env={"NOTIFY_SOCKET": self.path("notify")})
        self.assertEqual(self.told()["READY"], "1")
        d.signal(signal.SIGHUP)
        told = self.told()
        self.assertEqual(told["RELOADING"], "1")
        self.assertGreater(int(told["MONOTONIC_USEC"]), 0)
        self.assertEqual(self.told()["READY"], "1")
        d.signal(signal.SIGTERM)
        self.assertEqual(self.told()["STOPPING"], "1")

    def test_it_is_told_how_many_controllers_are_lost(self):
        d = self.daemon(env={"NOTIFY_SOCKET": self.path("notify")})
        self.assertEqual(self.told()["STATUS"], "0 controllers here")
        self.channel(d).unary(
            lib.REGISTRY + "RegisterController", lib.message("n1", "host:1"),
            metadata=[("oim-ttl", "5")])
        self.assertEqual(self.told()["STATUS"],
                         "0 controllers here, 1 of the registry lost")
        self.channel(d).register("n1", "")
        self.assertEqual(self.told()["STATUS"],
                         "0 controllers here, 0 of the registry lost")

    def test_lines_for_the_journal_have_a_priority_and_no_time(self):
        log, theirs = socket.socketpair()
        self.addCleanup(log.close)
        st = os.fstat(theirs.fileno())
        args = ["--config", "/dev/null"]
        for s in ("daemon.listen=" + self.path("s"), "store.path=" +
                  self.path("store"), "controller.k1.plane=null"):
            args += ["--set", s]
        process = subprocess.Popen(
            [lib.OIMD, *args], stdout=subprocess.PIPE, stderr=theirs, text=True,
            env={**os.environ,
                 "JOURNAL_STREAM": "%d:%d" % (st.st_dev, st.st_ino)})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        theirs.close()
        log.settimeout(lib.PATIENCE)
        self.assertRegex(log.recv(4096).decode(),
                         r"^<6>audit: register controller object=k1 .*\n$")


if __name__ == "__main__":
    lib.main()
