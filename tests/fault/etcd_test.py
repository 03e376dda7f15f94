#!/usr/bin/python3 -B
"""The store in an etcd of three members: what is lost when some of them are.

Whatever happens to the members, nothing that was acknowledged is lost, nothing
is done twice or undone, and a watch tells of all of it in order.
ETCD_ROUNDS=N says how often the leader is killed.
"""

import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import etcd
import lib
import node

ROUNDS = int(os.environ.get("ETCD_ROUNDS", 10))
THREADS = 8

# No call takes longer, in ms: 10 s, and the end of the last attempt.
LIMIT = 12000


class Members(etcd.Case):
    def setUp(self):
        super().setUp()
        self.c = self.cluster()

    def load(self):
        t = self.tool(self.c.settings(), "load", str(THREADS))
        t.wait_for("started")
        return t

    def fresh(self):
        """How many keys the load has made."""
        return self.c.ctl("get", "--prefix", "--keys-only",
                          "oim/f/").count("oim/f/")

    def judge(self, t, what):
        """The load was done right; its last line, and how many succeeded."""
        self.assertEqual(t.finish(), 0, t.output)
        node.progress("%s: %s" % (what, t.lines[-1].strip()))
        numbers = re.match(r"(\d+) acknowledged, (\d+) failed.*"
                           r"longest call (\d+) ms", t.lines[-1])
        self.assertLess(int(numbers.group(3)), LIMIT)
        return int(numbers.group(1)), int(numbers.group(2))

    def kill(self, m):
        m.kill()
        lib.wait_until(lambda: len(self.c.running()) < 2 or self.c.leader(),
                       "another leader")

    def test_the_leader_may_be_killed_again_and_again(self):
        t = self.load()
        for _ in range(ROUNDS):
            m = self.c.wait()
            self.kill(m)
            time.sleep(0.5)
            m.start()
            self.c.wait()
            time.sleep(0.5)
        acked, failed = self.judge(t, "%d leaders killed" % ROUNDS)
        self.assertGreater(acked, 100 * ROUNDS)
        self.assertLess(failed, acked / 100)

    def test_members_may_stop_answering(self):
        t = self.load()
        for m in self.c.members:
            m.process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            m.process.send_signal(signal.SIGCONT)
            self.c.wait()
            time.sleep(0.5)
        acked, failed = self.judge(t, "3 members stopped for 3 s")
        self.assertLess(failed, acked / 100)

    def test_without_a_quorum_all_fail_in_time_and_recover_by_themselves(self):
        t = self.load()
        lib.wait_until(lambda: self.fresh() > 100)
        lost = self.c.members[:2]
        for m in lost:
            m.kill()
        for command in ("put", "a", "1"), ("get", "a"), ("check",), ("lease",):
            words = self.fail_tool(self.c.settings(), *command)
            found = re.search(r"failed UNAVAILABLE .* \((\d+) ms\)", words)
            self.assertTrue(found, words)
            self.assertLess(int(found.group(1)), LIMIT)
        for m in lost:
            m.start()
        self.c.wait()
        self.run_tool(self.c.settings(), "put", "a", "1")
        n = self.fresh()
        lib.wait_until(lambda: self.fresh() > n)
        _, failed = self.judge(t, "quorum lost")
        self.assertGreater(failed, 0)

    def test_a_cluster_that_is_away_at_the_start_is_found(self):
        for m in self.c.members:
            m.kill()
        t = self.tool(self.c.settings(), "put", "late", "1")
        time.sleep(1)
        for m in self.c.members:
            m.start()
        self.assertEqual(t.finish(), 0, t.output)

    def test_renewals_are_cheap(self):
        words = self.run_tool(self.c.settings(), "renew", "1000")
        node.progress(words.strip())
        ms = int(re.search(r"in (\d+) ms", words).group(1))
        # 10 000 in a minute, one after the other.
        self.assertLess(ms, 6000)


class Compaction(etcd.Case):
    def setUp(self):
        super().setUp()
        self.c = self.cluster(n=1)

    def put(self, key):
        self.run_tool(self.c.settings(), "put", key, "x")
        return self.c.revision()

    def compact(self, revision):
        self.c.ctl("compact", str(revision))

    def test_a_watch_from_what_is_forgotten_is_gone(self):
        first = self.put("a")
        self.put("a")
        last = self.put("a")
        self.compact(last)
        for revision in first, last - 1, last:
            t = self.tool(self.c.settings(), "watch", str(revision))
            t.wait_for("gone")
            self.assertNotIn("put", t.output)
            self.assertEqual(t.finish(), 0)
        t = self.tool(self.c.settings(), "watch", str(last + 1))
        t.wait_for("watching")
        self.put("b")
        t.wait_for("put b")
        self.assertNotIn("gone", t.output)

    def check_resumed(self, *, compacts):
        """A watch whose connection is cut while something changes."""
        self.put("a")
        gate = self.gate(self.c.endpoints[0])
        settings = self.c.settings(endpoints=[gate.address])
        t = self.tool(settings, "watch", "0")
        t.wait_for("watching")
        self.put("b")
        t.wait_for("put b")
        # Nothing that is on its way arrives, and nobody gets through anew.
        gate.hold()
        for pair in gate.pairs:
            for s in pair:
                lib.hang_up(s)
        self.put("c")
        last = self.put("d")
        if compacts:
            self.compact(last)
        gate.cut()
        return t

    def test_a_watch_that_was_cut_off_goes_on_where_it_was(self):
        t = self.check_resumed(compacts=False)
        t.wait_for("put d")
        self.assertEqual(re.findall(r"put (\w)", t.output), ["b", "c", "d"])

    def test_a_watch_that_missed_something_is_gone(self):
        t = self.check_resumed(compacts=True)
        t.wait_for("gone")
        self.assertEqual(re.findall(r"put (\w)", t.output)[0], "b")


class Access(etcd.Case):
    """TLS with client certificates, users with passwords."""

    def tls(self, *options):
        self.pki = lib.Pki(self.path("pki"))
        for name in "localhost", "oim", "root", "stranger":
            self.pki.issue(name)
        own = self.pki.path("localhost")
        return self.cluster(
            n=1, scheme="https", host="localhost",
            options=["--cert-file", own + ".crt", "--key-file", own + ".key",
                     *options],
            ctl_options=self.ctl_certificate("root"))

    def mutual_tls(self):
        return self.tls("--client-cert-auth", "--trusted-ca-file",
                        self.path("pki", "ca.crt"))

    def ctl_certificate(self, name):
        return ["--cacert", self.pki.path("ca.crt"),
                "--cert", self.pki.path(name + ".crt"),
                "--key", self.pki.path(name + ".key")]

    def certificate(self, name):
        return ["ca=" + self.pki.path("ca.crt"),
                "cert=" + self.pki.path(name + ".crt"),
                "key=" + self.pki.path(name + ".key")]

    def allow(self, c, root=("root", "--no-password"),
              oim=("oim", "--no-password")):
        """Users root and oim; the latter has the prefix oim/ only."""
        c.ctl("user", "add", *root)
        c.ctl("user", "add", *oim)
        c.ctl("user", "grant-role", "root", "root")
        c.ctl("role", "add", "oim")
        c.ctl("role", "grant-permission", "oim", "readwrite", "--prefix=true",
              "oim/")
        c.ctl("user", "grant-role", "oim", "oim")
        c.ctl("auth", "enable")

    def password(self, text):
        path = self.path("password")
        with open(path, "w") as f:
            f.write(text + "\n")
        os.chmod(path, 0o600)
        return ["user=oim", "password-file=" + path]

    def use(self, settings):
        """All that a store does."""
        self.run_tool(settings, "put", "a", "here")
        self.assertIn("here\n", self.run_tool(settings, "get", "a"))
        self.run_tool(settings, "check")
        self.run_tool(settings, "lease")
        t = self.tool(settings, "watch", "0")
        t.wait_for("watching")
        self.run_tool(settings, "put", "b", "x")
        t.wait_for("put b")
        self.assertEqual(t.finish(), 0, t.output)

    def assertWithout(self, secret, words):
        self.assertNotIn(secret, words)
        return words

    def test_tls_with_a_client_certificate(self):
        c = self.mutual_tls()
        self.use(c.settings(*self.certificate("oim")))
        words = self.fail_tool(
            c.settings("ca=" + self.pki.path("ca.crt")), "get", "a")
        self.assertIn("demands a certificate, and we have none", words)
        words = self.fail_tool(c.settings(), "get", "a")
        self.assertIn("expects TLS", words)

    def test_tls_without_a_client_certificate(self):
        c = self.tls()
        self.use(c.settings("ca=" + self.pki.path("ca.crt")))
        # The certificate says localhost.
        words = self.fail_tool(
            c.settings("ca=" + self.pki.path("ca.crt"),
                       endpoints=[c.endpoints[0].replace("localhost",
                                                         "127.0.0.1")]),
            "get", "a")
        self.assertIn("not for \"127.0.0.1\"", words)

    def test_the_common_name_is_the_user(self):
        c = self.mutual_tls()
        self.allow(c)
        self.use(c.settings(*self.certificate("oim")))
        words = self.fail_tool(
            c.settings(*self.certificate("stranger")), "get", "a")
        self.assertRegex(words, "FAILED_PRECONDITION .*permission denied")
        words = self.fail_tool(
            c.settings("prefix=other/", *self.certificate("oim")), "get", "a")
        self.assertRegex(words, "FAILED_PRECONDITION .*permission denied")

    def with_password(self):
        """An etcd whose tokens live for two seconds."""
        c = self.cluster(n=1, options=["--auth-token-ttl", "2"])
        self.allow(c, root=["root:root"], oim=["oim:s3cret"])
        c.ctl_options += ["--user", "root:root"]
        return c

    def test_a_user_with_a_password(self):
        c = self.with_password()
        self.use(c.settings(*self.password("s3cret")))
        for password in "wrong-s3cret", "":
            words = self.fail_tool(
                c.settings(*self.password(password)), "get", "a")
            self.assertIn("FAILED_PRECONDITION", words)
            self.assertWithout("s3cret", words)
        words = self.fail_tool(c.settings(), "get", "a")
        self.assertRegex(words, "FAILED_PRECONDITION .*user name is empty")

    def test_a_password_that_nobody_asks_for_does_no_harm(self):
        c = self.cluster(n=1)
        self.use(c.settings(*self.password("s3cret")))

    def test_tokens_that_have_ended_are_renewed(self):
        c = self.with_password()
        settings = c.settings(*self.password("s3cret"))
        gate = self.gate(c.endpoints[0])
        watch = self.tool(
            c.settings(*self.password("s3cret"), endpoints=[gate.address]),
            "watch", "0")
        watch.wait_for("watching")
        t = self.tool(settings, "load", "1")
        t.wait_for("started")
        # Whoever has been idle has no token any more.
        time.sleep(4)
        gate.cut()
        self.run_tool(settings, "put", "last", "x")
        watch.wait_for("put last")
        # All tokens end with the server.
        c.members[0].kill()
        c.members[0].start()
        c.wait()
        self.run_tool(settings, "put", "again", "x")
        watch.wait_for("put again")
        status = t.finish()
        self.assertEqual(status, 0, t.output)
        self.assertWithout("s3cret", t.output + watch.output)


class Daemons(etcd.Case):
    """Several registries that are one."""

    def setUp(self):
        super().setUp()
        self.c = self.cluster()

    def registry(self, *settings):
        d = self.daemon("store.engine=etcd", *[
            "store.endpoints=" + e for e in self.c.endpoints], *settings)
        return d, self.channel(d)

    def test_what_one_registry_is_told_another_one_knows(self):
        _, one = self.registry()
        _, two = self.registry()
        _, other = self.registry("store.prefix=other/")
        one.register("k1", "dns:///k1:1")
        self.assertEqual(two.entries(), {"k1": "dns:///k1:1"})
        self.assertEqual(other.entries(), {})
        self.c.wait().kill()
        self.c.wait()
        two.register("k1", "")
        self.assertEqual(one.entries(), {})

    def test_a_daemon_starts_without_etcd_and_finds_it_later(self):
        for m in self.c.members:
            m.kill()
        d, channel = self.registry()
        lib.wait_until(lambda: "the store does not work" in d.log)
        for m in self.c.members:
            m.start()
        self.c.wait()
        d.wait_for_log("the store works again")
        channel.register("k1", "dns:///k1:1")
        self.assertEqual(channel.entries(), {"k1": "dns:///k1:1"})


if __name__ == "__main__":
    lib.main()
