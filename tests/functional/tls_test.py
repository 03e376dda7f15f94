#!/usr/bin/python3 -B
"""Mutual TLS: who gets in, who may do what, and certificates that change."""

import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import warnings

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import grpc

import lib

TCP = "daemon.listen=127.0.0.1:0"
REGISTRY_NAME = "component.registry"
OVERRIDE = "grpc__ssl_target_name_override"


class Tls(lib.Case):
    """Certificates of one authority for all tests of a class."""

    NAMES = [REGISTRY_NAME, "user.admin"]

    @classmethod
    def setUpClass(cls):
        directory = tempfile.mkdtemp(prefix="oim-test-pki-")
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        cls.pki = lib.Pki(os.path.join(directory, "pki"))
        for names in cls.NAMES:
            cls.pki.issue(names)

    def own_pki(self, name="pki"):
        return lib.Pki(self.path(name))

    def registry(self, *settings, pki=None, crl=False):
        pki = pki or self.pki
        tls = pki.settings(REGISTRY_NAME, crl)
        return self.daemon(TCP, "daemon.plaintext=no", *tls, *settings)

    def connect(self, daemon, name, pki=None, server=REGISTRY_NAME, ca=None):
        credentials = (pki or self.pki).client(name, ca)
        return self.channel(daemon, credentials, **{OVERRIDE: server})

    def serve(self, name, serve=lib.echo, pki=None):
        """A controller with that certificate."""
        return self.controller(serve, credentials=(pki or self.pki).server(name))


# --- who may do what ---

READS = {"read", "values", "health", "reflection"}
OF_N2 = {"register n2", "set n2"}
OF_N1 = {"local n1", "admin n1"}
ALL = READS | OF_N1 | OF_N2 | {
    "register n3",
    "set n3",
    "unix n2",
    "forward n2",
    "forward n3",
    "controller n2",
    "direct",
    "admin",
}


class Roles(Tls):
    """Every role, every kind of call. n1 is here, n2 and n3 are elsewhere."""

    ROLES = {
        "user.admin": ALL,
        "user.jane": READS,
        "controller.n2": READS | OF_N2,
        "controller.n1": READS,
        "host.n1": READS | OF_N1 | {"direct"},
        "host.n2": READS | {"forward n2", "controller n2"},
        "host.n3,controller.n2": READS | OF_N2 | {"forward n3"},
        "component.registry": OF_N1 | {"direct", "controller n2"},
        "component.other": set(),
        "somebody": set(),
        "admin": set(),
        "host.n": READS,
        "host.n22": READS,
        "host.*": READS,
        "xhost.n2": set(),
        "USER.ADMIN": set(),
    }
    NAMES = [*ROLES, "controller.n3"]

    def setUp(self):
        super().setUp()
        self.socket = self.path("sock")
        self.d = self.registry(
            "daemon.listen=" + self.socket, "controller.n1.plane=null"
        )
        self.local = self.channel("unix:" + self.socket)
        self.n2 = self.serve("controller.n2")
        self.n3 = self.serve("controller.n3")
        self.reset()

    def reset(self):
        self.local.register("n2", self.n2.address)
        self.local.register("n3", self.n3.address)

    def calls(self, c):
        """Each kind of call, and what comes of it when it is allowed."""

        def set_value(path):
            value = lib.field(1, lib.message(path, "1"))
            c.unary(lib.REGISTRY + "SetValue", value)

        def call(method, controller=None):
            metadata = lib.to(controller) if controller else None
            request = lib.message("none")
            return c.unary(method, request, metadata=metadata)

        def local(controller):
            try:
                call(lib.CONTROLLER + "CheckMallocBDev", controller)
            except grpc.RpcError as e:
                if e.code() != grpc.StatusCode.NOT_FOUND:
                    raise

        def info():
            method = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
            return list(c.stream(method, [lib.field(7, "*")]))

        return {
            "read": c.entries,
            "values": lambda: c.unary(lib.REGISTRY + "GetValues"),
            "health": lambda: c.unary(lib.HEALTH + "Check"),
            "reflection": info,
            "register n2": lambda: c.register("n2", "127.0.0.1:1"),
            "register n3": lambda: c.register("n3", "127.0.0.1:1"),
            "set n2": lambda: set_value("n2/x"),
            "set n3": lambda: set_value("n3/x"),
            "unix n2": lambda: c.register("n2", "unix:/n2"),
            "forward n2": lambda: call("/t/Echo", "n2"),
            "forward n3": lambda: call("/t/Echo", "n3"),
            "controller n2": lambda: call(lib.CONTROLLER + "MapVolume", "n2"),
            "local n1": lambda: local("n1"),
            "direct": lambda: local(None),
            "admin": lambda: call(lib.ADMIN + "GetStatus"),
            "admin n1": lambda: call(lib.ADMIN + "ListBDevs", "n1"),
        }

    def check(self, channel, allowed):
        for kind, call in self.calls(channel).items():
            with self.subTest(kind):
                if kind in allowed:
                    call()
                else:
                    with self.assertFails("PERMISSION_DENIED", "not allowed"):
                        call()
                self.reset()

    def test_every_role_may_do_what_is_its_own(self):
        for names, allowed in self.ROLES.items():
            with self.subTest(names):
                self.check(self.connect(self.d, names.split(",")[0]), allowed)

    def test_who_comes_by_the_socket_may_do_all(self):
        self.check(self.local, ALL)

    def test_the_refusal_names_the_caller_and_what_is_missing(self):
        c = self.connect(self.d, "controller.n2")
        words = 'caller "controller.n2" is not allowed to set anything of "n3"'
        with self.assertFails("PERMISSION_DENIED", words):
            c.register("n3", "127.0.0.1:1")

    def test_audit_lines_name_the_caller(self):
        c = self.connect(self.d, "controller.n2")
        c.register("n2", "127.0.0.1:1")
        self.d.wait_for_log(
            "audit: register controller object=n2 by=controller.n2 "
            r"peer=ipv4:127.0.0.1:\d+ code=OK"
        )
        with self.assertFails("PERMISSION_DENIED"):
            c.register("n3", "127.0.0.1:1")
        self.d.wait_for_log("object=n3 by=controller.n2 .* code=PERM")

    def test_a_host_is_refused_where_there_is_no_registry(self):
        d = self.registry("controller.n1.plane=null", "registry.enabled=no")
        method = lib.CONTROLLER + "CheckMallocBDev"
        for metadata in lib.to("n1"), None:
            with self.assertFails("PERMISSION_DENIED", "host.n1"):
                c = self.connect(d, "host.n1")
                c.unary(method, lib.message("b"), metadata=metadata)
            with self.assertFails("NOT_FOUND"):
                c = self.connect(d, REGISTRY_NAME)
                c.unary(method, lib.message("b"), metadata=metadata)


# --- who gets in ---


class Handshake(Tls):
    NAMES = [REGISTRY_NAME, "user.admin", "controller.n1", "controller.n9"]

    def setUp(self):
        super().setUp()
        self.d = self.registry()
        self.admin = self.connect(self.d, "user.admin")

    def assertUnreachable(self, channel):
        with self.assertFails("UNAVAILABLE"):
            channel.unary(lib.REGISTRY + "GetControllers", timeout=10)
        self.assertEqual(self.admin.entries(), {})

    def test_a_certificate_of_the_authority_gets_in(self):
        self.assertEqual(self.admin.entries(), {})

    def test_one_that_has_expired_does_not(self):
        self.pki.issue("user.late", "--days", "-1")
        self.assertUnreachable(self.connect(self.d, "user.late"))
        self.d.wait_for_log("warn  rpc: .*certificate")

    def test_one_of_another_authority_does_not(self):
        other = self.own_pki()
        other.issue("user.admin")
        c = self.connect(self.d, "user.admin", pki=other, ca=self.pki)
        self.assertUnreachable(c)

    def test_none_does_not(self):
        ca = grpc.ssl_channel_credentials(self.pki.read("ca.crt"))
        c = self.channel(self.d, ca, **{OVERRIDE: REGISTRY_NAME})
        self.assertUnreachable(c)

    def test_plaintext_does_not(self):
        self.assertUnreachable(self.channel(self.d))

    def test_tls_finds_nobody_where_there_is_plaintext(self):
        plain = self.daemon(TCP)
        self.assertUnreachable(self.connect(plain, "user.admin"))
        self.assertEqual(self.channel(plain).entries(), {})

    def test_clients_see_who_the_server_is(self):
        c = self.connect(self.d, "user.admin", server="component.other")
        self.assertUnreachable(c)

    def test_a_server_of_another_authority_is_seen(self):
        other = self.own_pki()
        c = self.connect(self.d, "user.admin", ca=other)
        self.assertUnreachable(c)

    def test_old_versions_of_tls_are_refused(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(
            self.pki.path("user.admin.crt"), self.pki.path("user.admin.key")
        )
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the version
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        address = tuple(self.d.address.split(":"))
        with self.assertRaises(OSError):
            with socket.create_connection(address) as s:
                context.wrap_socket(s).read(1)


class Controllers(Tls):
    """The registry makes sure that a controller is who it should be."""

    NAMES = [
        REGISTRY_NAME,
        "user.admin",
        "controller.n1",
        "controller.n9",
        "host.n1,controller.n1",
    ]

    def setUp(self):
        super().setUp()
        self.d = self.registry()
        self.admin = self.connect(self.d, "user.admin")

    def call(self, controller="n1"):
        metadata = lib.to(controller)
        return self.admin.unary("/t/Echo", b"hi", metadata=metadata)

    def register(self, name, **kwargs):
        n1 = self.serve(name, **kwargs)
        self.admin.register("n1", n1.address)
        return n1

    def test_a_controller_with_its_name_is_used(self):
        n1 = self.register("controller.n1")
        for _ in range(10):
            self.assertEqual(self.call(), b"hi")
        self.assertEqual(n1.connections(), 1)
        context = n1.calls[0].context.auth_context()
        self.assertEqual(
            context["x509_common_name"], [REGISTRY_NAME.encode()]
        )

    def test_one_of_several_names_is_enough(self):
        self.register("host.n1")
        self.assertEqual(self.call(), b"hi")

    def test_another_name_is_unavailable(self):
        n1 = self.register("controller.n9")
        words = 'the server is "controller.n9", expected "controller.n1"'
        with self.assertFails("UNAVAILABLE", words):
            self.call()
        self.assertEqual(n1.calls, [])

    def test_two_controllers_at_one_address_are_told_apart(self):
        n1 = self.register("controller.n1")
        self.admin.register("n9", n1.address)
        self.assertEqual(self.call(), b"hi")
        words = 'the server is "controller.n1", expected "controller.n9"'
        with self.assertFails("UNAVAILABLE", words):
            self.call("n9")
        self.assertEqual(self.call(), b"hi")

    def test_a_controller_that_has_expired_is_unavailable(self):
        pki = self.own_pki()
        pki.issue("controller.n1", "--days", "-1")
        shutil.copy(self.pki.path("ca.crt"), pki.path("ca.crt"))
        self.register("controller.n1", pki=pki)
        with self.assertFails("UNAVAILABLE"):
            self.call()

    def test_a_controller_of_another_authority_is_unavailable(self):
        pki = self.own_pki()
        pki.issue("controller.n1")
        self.register("controller.n1", pki=pki)
        with self.assertFails("UNAVAILABLE"):
            self.call()

    def test_a_controller_that_speaks_plaintext_is_unavailable(self):
        n1 = self.controller(lib.echo)
        self.admin.register("n1", n1.address)
        with self.assertQuick(5), self.assertFails("UNAVAILABLE"):
            self.call()
        self.assertEqual(n1.calls, [])

    def test_a_socket_needs_no_certificate(self):
        path = "unix:" + self.path("n1.sock")
        self.controller(lib.echo, path)
        self.admin.register("n1", path)
        self.assertEqual(self.call(), b"hi")

    def test_an_id_that_no_certificate_can_carry_is_refused(self):
        name = "\u5317" * 30
        self.admin.register(name, "127.0.0.1:1")
        metadata = (("controllerid-bin", name.encode()),)
        words = "no certificate can carry the name"
        with self.assertFails("INVALID_ARGUMENT", words):
            self.admin.unary("/t/Echo", b"", metadata=metadata)

    def test_the_main_path_of_a_cluster_works_with_two_daemons(self):
        """A controller that registers itself, and is called through it."""
        controller = self.daemon(
            TCP,
            "daemon.plaintext=no",
            "registry.enabled=no",
            "controller.n1.plane=null",
            "controller.n1.registry=" + self.d.address,
            *self.pki.settings("controller.n1"),
        )
        lib.wait_until(
            lambda: self.admin.entries() == {"n1": controller.address}
        )
        provision = lib.message("b", 1 << 20)
        check = lib.message("b")
        for method, request in (
            ("ProvisionMallocBDev", provision),
            ("CheckMallocBDev", check),
            ("MapVolume", lib.message("b", b"")),
            ("UnmapVolume", check),
        ):
            self.admin.unary(
                lib.CONTROLLER + method, request, metadata=lib.to("n1")
            )
        controller.wait_for_log(
            "audit: map volume controller=n1 object=b by=component.registry"
        )


# --- certificates that change ---


class Revocation(Tls):
    def setUp(self):
        super().setUp()
        self.own = self.own_pki()
        self.own.issue(REGISTRY_NAME + ",user.admin")
        self.own.issue("user.jane")
        self.own.issue("controller.n1")
        self.d = self.registry(pki=self.own, crl=True)
        self.admin = self.connect(self.d, REGISTRY_NAME, pki=self.own)
        self.jane = self.connect(self.d, "user.jane", pki=self.own)

    def wait_until_refused(self, call):
        def is_refused():
            try:
                call()
            except grpc.RpcError as e:
                return e.code() != grpc.StatusCode.OK and e

        return lib.wait_until(is_refused, "the refusal")

    def test_a_connection_that_is_open_is_refused_within_2_seconds(self):
        self.jane.entries()
        self.own.revoke("user.jane")
        with self.assertQuick(2):
            e = self.wait_until_refused(self.jane.entries)
        self.assertEqual(e.code(), grpc.StatusCode.UNAUTHENTICATED)
        self.assertIn("revoked", e.details())
        self.admin.entries()

    def test_a_new_connection_is_refused(self):
        self.jane.entries()
        self.own.revoke("user.jane")
        self.wait_until_refused(self.jane.entries)
        again = self.connect(self.d, "user.jane", pki=self.own)
        with self.assertFails("UNAUTHENTICATED", "revoked"):
            again.entries()
        with self.assertFails("UNAUTHENTICATED", "revoked"):
            again.unary(lib.HEALTH + "Check")
        with self.assertFails("UNAUTHENTICATED", "revoked"):
            again.unary("/t/Echo", b"", metadata=lib.to("n1"))

    def test_a_controller_that_is_revoked_is_not_used(self):
        n1 = self.serve("controller.n1", pki=self.own)
        self.admin.register("n1", n1.address)

        def call():
            self.admin.unary("/t/Echo", b"", metadata=lib.to("n1"))

        call()
        self.own.revoke("controller.n1")
        e = self.wait_until_refused(call)
        self.assertEqual(e.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn("revoked", e.details())

    def test_a_daemon_that_starts_later_knows(self):
        self.own.revoke("user.jane")
        d = self.registry(pki=self.own, crl=True)
        with self.assertFails("UNAUTHENTICATED", "revoked"):
            self.connect(d, "user.jane", pki=self.own).entries()


class Exchange(Tls):
    """New files while the daemon runs, and streams that live through it."""

    def setUp(self):
        super().setUp()
        self.old = self.own_pki("old")
        self.new = self.own_pki("new")
        for pki in self.old, self.new:
            pki.issue(REGISTRY_NAME)
            pki.issue("user.admin")
            pki.issue("controller.n1")
        self.used = self.own_pki("used")
        self.install(self.old)
        self.d = self.registry(pki=self.used)
        self.admin = self.connect(self.d, "user.admin", pki=self.old)

    def install(self, pki):
        for file in "ca.crt", REGISTRY_NAME + ".crt", REGISTRY_NAME + ".key":
            shutil.copy(pki.path(file), self.used.path(file + ".new"))
        for file in "ca.crt", REGISTRY_NAME + ".crt", REGISTRY_NAME + ".key":
            os.rename(self.used.path(file + ".new"), self.used.path(file))

    def can_enter(self, pki):
        c = self.connect(self.d, "user.admin", pki=pki)
        try:
            c.entries()
            return True
        except grpc.RpcError:
            return False

    def test_new_certificates_are_used_by_themselves(self):
        self.assertFalse(self.can_enter(self.new))
        self.install(self.new)
        lib.wait_until(lambda: self.can_enter(self.new))
        self.assertFalse(self.can_enter(self.old))
        self.d.wait_for_log("new certificates are in use")

    def test_a_signal_makes_them_used_at_once(self):
        self.install(self.new)
        self.d.signal(signal.SIGHUP)
        self.d.wait_for_log("reloaded")
        self.assertTrue(self.can_enter(self.new))
        self.assertFalse(self.can_enter(self.old))

    def test_streams_live_through_it(self):
        n1 = self.serve("controller.n1", pki=self.old)
        self.admin.register("n1", n1.address)
        requests = lib.Requests()
        replies = self.admin.stream("/t/Echo", requests, metadata=lib.to("n1"))
        watch = self.admin.download(lib.HEALTH + "Watch", timeout=None)
        next(watch)
        for i in range(10):
            requests.send(b"%d" % i)
            self.assertEqual(next(replies), b"%d" % i)
            if i == 5:
                self.install(self.new)
                lib.wait_until(lambda: self.can_enter(self.new))
        requests.close()
        self.assertEqual(list(replies), [])
        watch.cancel()

    def test_controllers_are_dialled_with_the_new_ones(self):
        n1 = self.serve("controller.n1", pki=self.old)
        self.admin.register("n1", n1.address)
        metadata = lib.to("n1")
        self.admin.unary("/t/Echo", b"", metadata=metadata)
        self.install(self.new)
        lib.wait_until(lambda: self.can_enter(self.new))
        # The controller still has the old one, and the registry sees that.
        with self.assertFails("UNAVAILABLE"):
            self.admin.unary("/t/Echo", b"", metadata=metadata)
        n1 = self.serve("controller.n1", pki=self.new)
        self.admin.register("n1", n1.address)
        self.admin.unary("/t/Echo", b"", metadata=metadata)

    def test_bad_files_leave_the_old_ones_in_use(self):
        key = self.used.path(REGISTRY_NAME + ".key")
        good = self.used.read(REGISTRY_NAME + ".key")
        for bad in b"", b"nonsense", self.new.read(REGISTRY_NAME + ".key"):
            with self.subTest(bad[:20]):
                with open(key, "wb") as f:
                    f.write(bad)
                self.d.signal(signal.SIGHUP)
                n = len(self.d.lines)
                lib.wait_until(
                    lambda: "not reloaded" in "".join(self.d.lines[n - 1 :])
                )
                self.assertTrue(self.can_enter(self.old))
        with open(key, "wb") as f:
            f.write(good)
        self.d.signal(signal.SIGHUP)
        self.d.wait_for_log("main: reloaded")

    def test_what_is_in_the_log_is_no_secret(self):
        with open(self.used.path(REGISTRY_NAME + ".key"), "ab") as f:
            f.write(b"nonsense")
        self.d.signal(signal.SIGHUP)
        self.can_enter(self.old)
        self.assertNotIn("nonsense", self.d.log)
        self.assertNotIn("BEGIN", self.d.log)


if __name__ == "__main__":
    lib.main()
