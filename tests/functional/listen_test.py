#!/usr/bin/python3 -B
"""What the daemon listens on, what it leaves alone, and who is at the end."""

import grp
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import h2
import lib


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        return True
    except OSError:
        return False


needs_ipv6 = unittest.skipUnless(has_ipv6(), "there is no IPv6 here")


class Listen(lib.Case):
    def assertRefused(self, words, *settings, **kwargs):
        """A daemon with these settings does not start, and says why."""
        d = self.daemon(*settings, wait=False, **kwargs)
        self.assertIn(d.wait(), (1, 2))
        self.assertIn(words, d.log)
        self.assertTrue(d.log.startswith("oimd: "), d.log)
        self.assertEqual(d.addresses, [])

    def assertAnswers(self, address, credentials=None):
        self.assertEqual(self.channel(address, credentials).entries(), {})

    def listen(self, *addresses, **kwargs):
        return self.daemon(*["daemon.listen=" + a for a in addresses], **kwargs)


class Unix(Listen):
    def setUp(self):
        super().setUp()
        self.socket = self.path("sock")
        self.printed = "unix://" + self.socket

    def test_all_forms_of_a_path_mean_the_same(self):
        for form in "unix:", "unix://", "":
            with self.subTest(form):
                d = self.listen(form + self.socket)
                self.assertEqual(d.addresses, [self.printed])
                self.assertAnswers(d.address)
                d.stop()

    def test_a_path_may_have_any_characters(self):
        for name in "a b", "100%", "a%20b", "\u00e4", "x?y#z", "[::1]:5":
            with self.subTest(name):
                d = self.listen("unix:" + self.path(name))
                h2.connect("unix:" + self.path(name)).close()
                self.assertEqual(d.address, "unix://" + self.path(name))
                d.stop()
                self.assertFalse(os.path.exists(self.path(name)))

    def test_the_path_may_be_as_long_as_the_kernel_takes(self):
        room = 107 - len(self.path(""))
        d = self.listen(self.path("x" * room))
        self.assertAnswers(d.address)
        self.assertRefused(
            "the path of a Unix socket has at most 107 bytes",
            "daemon.listen=" + self.path("x" * (room + 1)),
        )

    def test_only_user_and_group_may_connect(self):
        self.listen(self.socket)
        st = os.stat(self.socket)
        self.assertEqual(stat.S_IMODE(st.st_mode), 0o660)
        try:
            expected = grp.getgrnam("oim").gr_gid
        except KeyError:
            expected = os.getegid()
        self.assertEqual(st.st_gid, expected)

    def test_a_stop_removes_the_socket_and_its_lock(self):
        d = self.listen(self.socket)
        self.assertEqual(d.stop(), 0)
        self.assertEqual(os.listdir(self.dir), ["d1"])

    def test_a_stop_leaves_what_somebody_else_put_there(self):
        d = self.listen(self.socket)
        os.unlink(self.socket)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.socket)
            d.stop()
            self.assertTrue(os.path.exists(self.socket))

    def test_a_socket_that_a_crash_left_is_replaced(self):
        self.listen(self.socket).kill()
        self.assertTrue(os.path.exists(self.socket))
        self.assertAnswers(self.listen(self.socket))

    def test_the_socket_of_another_daemon_is_left_alone(self):
        d = self.listen(self.socket)
        words = 'another daemon listens on "%s"' % self.socket
        self.assertRefused(words, "daemon.listen=" + self.socket)
        self.assertAnswers(d)

    def test_the_socket_of_another_program_is_left_alone(self):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.socket)
            other.listen()
            words = 'another program listens on "%s"' % self.socket
            self.assertRefused(words, "daemon.listen=" + self.socket)
            socket.socket(socket.AF_UNIX).connect(self.socket)
        self.assertFalse(os.path.exists(self.socket + ".lock"))

    def test_a_socket_whose_backlog_is_full_is_alive(self):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.socket)
            other.listen(0)
            waiting = socket.socket(socket.AF_UNIX)
            self.addCleanup(waiting.close)
            waiting.connect(self.socket)
            words = 'another program listens on "%s"' % self.socket
            self.assertRefused(words, "daemon.listen=" + self.socket)

    def test_a_path_that_is_not_a_socket_is_left_alone(self):
        with open(self.path("file"), "w") as f:
            f.write("precious")
        os.mkdir(self.path("directory"))
        os.symlink("nowhere", self.path("link"))
        for name in "file", "directory", "link":
            with self.subTest(name):
                words = '"%s" exists and is not a socket' % self.path(name)
                self.assertRefused(words, "daemon.listen=" + self.path(name))
                self.assertTrue(os.path.lexists(self.path(name)))
                self.assertFalse(os.path.exists(self.path(name) + ".lock"))
        with open(self.path("file")) as f:
            self.assertEqual(f.read(), "precious")

    def test_a_directory_that_is_missing_is_named(self):
        path = self.path("no", "sock")
        self.assertRefused("/no/sock", "daemon.listen=" + path)

    def test_a_second_daemon_starts_as_soon_as_the_first_has_stopped(self):
        for _ in range(5):
            d = self.listen(self.socket, name="same")
            self.assertAnswers(d)
            self.assertEqual(d.stop(), 0)


class Tcp(Listen):
    def test_all_forms_mean_the_same(self):
        for form in "127.0.0.1:", "dns:///127.0.0.1:", "tcp://127.0.0.1:":
            with self.subTest(form):
                port = lib.free_port()
                d = self.listen(form + str(port))
                self.assertEqual(d.addresses, ["127.0.0.1:%d" % port])
                self.assertAnswers(d)
                d.stop()

    def test_port_0_is_one_that_the_kernel_chose(self):
        d = self.listen("127.0.0.1:0", "127.0.0.1:0")
        self.assertEqual(len(set(d.addresses)), 2)
        for address in d.addresses:
            self.assertNotEqual(address, "127.0.0.1:0")
            self.assertAnswers(address)

    @needs_ipv6
    def test_ipv6_stands_in_brackets(self):
        d = self.listen("[::1]:0")
        self.assertRegex(d.address, r"^\[::1\]:\d+$")
        self.assertAnswers("ipv6:" + d.address)

    def test_a_name_is_all_its_addresses(self):
        d = self.listen("localhost:0")
        self.assertRegex(d.address, r"^localhost:\d+$")
        port = d.address.rsplit(":", 1)[1]
        for info in socket.getaddrinfo("localhost", port):
            form = "ipv6:[%s]:" if ":" in info[4][0] else "ipv4:%s:"
            self.assertAnswers(form % info[4][0] + port)

    def test_several_at_once_are_printed_in_their_order(self):
        path = self.path("sock")
        d = self.listen("127.0.0.1:0", path, "127.0.0.1:0")
        self.assertEqual(d.addresses[1], "unix://" + path)
        for address in d.addresses:
            self.assertAnswers(address)

    def test_the_same_one_twice_is_an_error(self):
        port = lib.free_port()
        for a, b in (
            ("127.0.0.1:%d", "tcp://127.0.0.1:%d"),
            ("dns:///127.0.0.1:%d", "127.0.0.1:%d"),
            ("localhost:%d", "localhost:%d"),
            ("unix:/tmp/%d", "/tmp/%d"),
            ("unix:///tmp/%d", "unix:/tmp/%d"),
        ):
            with self.subTest(a + " " + b):
                self.assertRefused(
                    " twice",
                    "daemon.listen=" + a % port,
                    "daemon.listen=" + b % port,
                )

    def test_a_port_that_is_in_use_is_refused(self):
        other = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(other.close)
        address = "127.0.0.1:%d" % other.getsockname()[1]
        words = "cannot listen on %s: Address already in use" % address
        self.assertRefused(words, "daemon.listen=" + address)

    def test_a_host_that_is_not_here_is_refused(self):
        words = 'this host does not have the address "192.0.2.1"'
        self.assertRefused(
            words, "daemon.listen=192.0.2.1:0", *self.tls_settings()
        )

    def test_plaintext_must_be_asked_for(self):
        self.assertRefused(
            "TCP needs certificates",
            "daemon.listen=127.0.0.1:0",
            "daemon.plaintext=no",
        )

    def test_plaintext_is_for_loopback_only(self):
        for host in "0.0.0.0", "[::]", "", "192.0.2.1", "host.example":
            with self.subTest(host):
                self.assertRefused(
                    "loopback addresses only", "daemon.listen=" + host + ":0"
                )

    def test_a_bad_address_names_the_forms(self):
        for bad in "nonsense", "1.2.3.4", "h:99999", "::1:5", "foo://bar":
            with self.subTest(bad):
                self.assertRefused("daemon.listen", "daemon.listen=" + bad)

    def tls_settings(self):
        pki = lib.Pki(self.path("pki"))
        pki.issue("component.registry,user.admin")
        return pki.settings("component.registry")

    def test_two_daemons_never_share_a_port(self):
        tls = self.tls_settings()
        hosts = ["127.0.0.1", "localhost", "0.0.0.0", ""]
        if has_ipv6():
            hosts += ["[::]"]
        for first in hosts:
            d = self.listen(first + ":0", *(), name="first")
            port = d.address.rsplit(":", 1)[1]
            for second in hosts:
                with self.subTest(first + " and " + second):
                    self.assertRefused(
                        "Address already in use",
                        "daemon.listen=%s:%s" % (second, port),
                        *tls,
                    )
            d.stop()

    def listen(self, *addresses, **kwargs):
        """With TLS where it cannot be done without."""
        settings = ["daemon.listen=" + a for a in addresses]
        if addresses[0].startswith((":", "0.0.0.0:", "[::]:")):
            pki = self.path("pki")
            settings += [
                "tls.ca=%s/ca.crt" % pki,
                "tls.cert=%s/component.registry.crt" % pki,
                "tls.key=%s/component.registry.key" % pki,
            ]
        return self.daemon(*settings, **kwargs)


class Descriptors(Listen):
    """More connections than descriptors."""

    def connect(self, daemon):
        connections = [h2.connect(daemon.address) for _ in range(100)]
        for c in connections:
            self.addCleanup(c.close)
        return connections

    def test_as_many_are_used_as_there_may_be(self):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, limit[1]))
        try:
            d = self.listen("127.0.0.1:0")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        self.connect(d)
        self.assertAnswers(d)

    def test_a_unix_socket_accepts_again_when_there_are_some(self):
        d = self.listen(self.path("sock"))
        before = d.fds()
        resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (64, 64))
        connections = self.connect(d)
        lib.wait_until(lambda: d.fds() == 64, "the last descriptor")
        d.wait_for_log('cannot accept on ".*/sock": Too many open files')
        for c in connections:
            c.close()
        self.assertAnswers(d)
        lib.wait_until(lambda: d.fds() <= before + 1, "the end of connections")

    def test_a_tcp_port_that_stops_accepting_is_reported(self):
        d = self.listen("127.0.0.1:0")
        resource.prlimit(d.pid, resource.RLIMIT_NOFILE, (64, 64))
        self.connect(d)
        d.wait_for_log("error rpc: a TCP port is closed .* Too many open files")


class Peer(Listen):
    """Who is at the other end of a Unix socket is in the audit lines."""

    CALL = """
import os, sys
sys.path.insert(0, sys.argv[1])
import h2, lib
c = h2.connect(sys.argv[2])
request = lib.message("by-%d" % os.getpid(), "127.0.0.1:1")
stream = c.request(
    h2.request_headers("/oim.v0.Registry/RegisterController"),
    h2.grpc_message(request))
assert c.read_end(stream) == (0, ""), c.headers
print(os.getpid())
"""

    def call(self, address):
        """Registers "by-PID" by another process; the number of it."""
        out = subprocess.run(
            [sys.executable, "-c", self.CALL, lib.ROOT + "/tests", address],
            check=True,
            stdout=subprocess.PIPE,
        )
        return int(out.stdout)

    def test_calls_are_put_down_to_the_right_process(self):
        d = self.listen(self.path("sock"))
        for pid in [self.call(d.address) for _ in range(3)]:
            d.wait_for_log(
                r"audit: register controller object=by-%d "
                r"uid=%d pid=%d peer=unix code=OK" % (pid, os.getuid(), pid)
            )

    def test_a_tcp_caller_is_named_by_its_address(self):
        d = self.listen("127.0.0.1:0")
        pid = self.call(d.address)
        d.wait_for_log(r"object=by-%d peer=ipv4:127.0.0.1:\d+ code=OK" % pid)

    @unittest.skipIf(os.getuid(), "needs root, to be somebody else")
    def test_who_is_in_no_group_cannot_connect(self):
        os.chmod(self.dir, 0o755)
        d = self.listen(self.path("sock"))
        code = (
            "import os, socket, sys; os.setgroups([]); os.setgid(65534);"
            "os.setuid(65534); socket.socket(socket.AF_UNIX)"
            ".connect(sys.argv[1])"
        )
        result = subprocess.run(
            [sys.executable, "-c", code, self.path("sock")],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.assertIn("PermissionError", result.stderr)
        self.assertAnswers(d)


if __name__ == "__main__":
    lib.main()
