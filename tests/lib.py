"""What the functional tests in Python stand on.

A test file has classes of lib.Case, whose methods are named after what they
claim, and ends with lib.main(). It runs the real oimd of the build folder that
the variable B names (default: build), each in a directory of its own, and
speaks to it with grpcio, as client and as controller, with messages as bytes:
nothing of the code under test is used to judge it.

Whatever a test starts is stopped when it ends, however it ends; a daemon that
then does not exit with 0, or has something to say from a sanitizer, fails the
test. Nothing waits for a time to pass: wait_until() waits for an event and
gives up after PATIENCE seconds.

main() prints "ok N - claim" or "not ok N - claim" for each test, as tests/run
wants them, and "# passed N failed M skipped K" at the end. Exit status: 0, 1 if
something failed, 77 if all was skipped.
"""

import concurrent.futures
import contextlib
import os
import queue
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unittest

# Of ours, not the daemon's: nothing on standard error, and connections that are
# being made get on even while there are no calls (else every 5 s).
OWN = {
    "GRPC_VERBOSITY": "NONE",
    "GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS": "50",
}
for name, value in OWN.items():
    os.environ.setdefault(name, value)

import grpc

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
B = os.path.join(ROOT, os.environ.get("B", "build"))
OIMD = os.path.join(B, "oimd")
OIM_CERT = os.path.join(ROOT, "scripts", "oim-cert")

# For builds with sanitizers: what is not ours is not told.
SANITIZERS = {
    "LSAN_OPTIONS": "print_suppressions=0:suppressions="
    + os.path.join(ROOT, "tests", "lsan.supp"),
}

# Seconds until an event that does not come counts as a failure. Long, because
# machines that run tests are busy; it is never waited for in vain.
PATIENCE = 30

REGISTRY = "/oim.v0.Registry/"
CONTROLLER = "/oim.v0.Controller/"
ADMIN = "/oim.admin.v1.Admin/"
HEALTH = "/grpc.health.v1.Health/"


def is_sanitized():
    """Whether the daemon is a slow build with sanitizers."""
    with open(OIMD, "rb") as f:
        return re.search(rb"__(asan|tsan)_init", f.read()) is not None


def wait_until(condition, what="the event"):
    """Waits until condition() is true and returns what it returned."""
    end = time.monotonic() + PATIENCE
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError("%s did not come" % what)
        time.sleep(0.005)


def free_port():
    """A TCP port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# --- messages, as bytes ---


def varint(n):
    out = b""
    n &= (1 << 64) - 1
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    """One field: text, bytes (also of a message), or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*values):
    """A message whose fields 1, 2, ... are these; None leaves one out."""
    return b"".join(
        field(i, v) for i, v in enumerate(values, 1) if v is not None
    )


def take_varint(data, at):
    n = shift = 0
    while True:
        byte = data[at]
        n |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return n, at


def fields(data):
    """What is in a message: {number: [values]}, bytes or numbers."""
    found = {}
    at = 0
    while at < len(data):
        tag, at = take_varint(data, at)
        value, at = take_varint(data, at)
        if tag & 7 == 2:
            value, at = data[at : at + value], at + value
        found.setdefault(tag >> 3, []).append(value)
    return found


# --- calls ---


def raw(message):
    return message


class Channel:
    """Calls to a server; args are channel arguments of gRPC core."""

    def __init__(self, address, credentials=None, **args):
        # Channels with equal arguments would share one connection.
        options = {"grpc.use_local_subchannel_pool": 1}
        options.update({k.replace("__", "."): v for k, v in args.items()})
        target = address.replace("unix:///", "unix:/")
        if credentials:
            self.grpc = grpc.secure_channel(
                target, credentials, list(options.items())
            )
        else:
            self.grpc = grpc.insecure_channel(target, list(options.items()))

    def close(self):
        self.grpc.close()

    def unary(self, method, request=b"", timeout=PATIENCE, **kwargs):
        call = self.grpc.unary_unary(method, raw, raw)
        return call(request, timeout=timeout, **kwargs)

    def start(self, method, request=b"", timeout=PATIENCE, **kwargs):
        """A unary call that is not waited for."""
        call = self.grpc.unary_unary(method, raw, raw)
        return call.future(request, timeout=timeout, **kwargs)

    def with_call(self, method, request=b"", timeout=PATIENCE, **kwargs):
        """The reply, and the call with its metadata."""
        call = self.grpc.unary_unary(method, raw, raw)
        return call.with_call(request, timeout=timeout, **kwargs)

    def upload(self, method, requests, timeout=PATIENCE, **kwargs):
        call = self.grpc.stream_unary(method, raw, raw)
        return call(iter(requests), timeout=timeout, **kwargs)

    def download(self, method, request=b"", timeout=PATIENCE, **kwargs):
        call = self.grpc.unary_stream(method, raw, raw)
        return call(request, timeout=timeout, **kwargs)

    def stream(self, method, requests, timeout=PATIENCE, **kwargs):
        call = self.grpc.stream_stream(method, raw, raw)
        return call(iter(requests), timeout=timeout, **kwargs)

    def register(self, controller, address):
        self.unary(REGISTRY + "RegisterController", message(controller, address))

    def entries(self, timeout=PATIENCE):
        reply = self.unary(REGISTRY + "GetControllers", timeout=timeout)
        return {
            fields(e)[1][0].decode(): fields(e).get(2, [b""])[0].decode()
            for e in fields(reply).get(1, [])
        }


def to(controller, *more):
    """The metadata of a call for a controller."""
    return (("controllerid", controller),) + more


class Requests:
    """Requests of a stream, one at a time as the test says."""

    def __init__(self):
        self.items = queue.Queue()

    def send(self, request):
        self.items.put(request)

    def close(self):
        self.items.put(None)

    def __iter__(self):
        return iter(self.items.get, None)


# --- the daemon ---


class Daemon:
    """An oimd that runs; settings are those of --set.

    wrapper is a command that runs another one: strace, setpriv.
    """

    def __init__(
        self,
        directory,
        settings,
        config="/dev/null",
        env=None,
        wait=True,
        wrapper=(),
    ):
        self.directory = directory
        self.lines = []
        self.addresses = []
        args = [*wrapper, OIMD, "--config", config]
        for setting in settings:
            args += ["--set", setting]
        self.process = subprocess.Popen(
            args,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            env={
                **{k: v for k, v in os.environ.items() if k not in OWN},
                **SANITIZERS,
                **(env or {}),
            },
        )
        self.readers = [
            threading.Thread(target=self._read_log, daemon=True),
            threading.Thread(target=self._read_addresses, daemon=True),
        ]
        for reader in self.readers:
            reader.start()
        self.n_expected = max(
            1, sum(s.startswith("daemon.listen=") for s in settings)
        )
        if wait:
            wait_until(self._has_started, "the start of oimd")
            if self.process.poll() is not None:
                self._join()
                raise AssertionError("oimd did not start:\n" + self.log)

    def _has_started(self):
        return (
            len(self.addresses) == self.n_expected
            or self.process.poll() is not None
        )

    def _read_log(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def _read_addresses(self):
        for line in self.process.stdout:
            if line.startswith("listening on "):
                self.addresses.append(line[len("listening on ") :].rstrip("\n"))

    def _join(self):
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    @property
    def address(self):
        return self.addresses[0]

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        return "".join(self.lines)

    def wait_for_log(self, pattern):
        """Waits for a line of the log, and returns the match."""
        return wait_until(
            lambda: re.search(pattern, self.log), "a line like " + pattern
        )

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Waits for the end and returns the status."""
        status = self.process.wait(PATIENCE)
        self._join()
        return status

    def stop(self):
        """Stops it as an operator would, and returns the status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.process.kill()
        self.wait()

    def _status(self, key):
        with open("/proc/%d/status" % self.pid) as f:
            return int(re.search(key + r":\s*(\d+)", f.read()).group(1))

    def rss(self):
        """Bytes of memory that it has now."""
        return self._status("VmRSS") * 1024

    def peak(self):
        """The most that it ever had."""
        return self._status("VmHWM") * 1024

    def fds(self):
        """How many descriptors it has."""
        try:
            return len(os.listdir("/proc/%d/fd" % self.pid))
        except PermissionError:
            # It does not want to be looked into (PR_SET_DUMPABLE).
            raise unittest.SkipTest("needs root, to count descriptors")

    def complaint(self):
        """What a sanitizer had to say, or None."""
        found = re.search(
            r"^.*(AddressSanitizer|LeakSanitizer|ThreadSanitizer|"
            r"runtime error).*\n(.*\n){0,60}",
            self.log,
            re.M,
        )
        return found and found.group(0)


# --- controllers that are not ours ---


class Controller:
    """A gRPC server that answers any method as serve(call) says.

    serve gets a ServedCall and yields the replies; what it raises is the end of
    the call. Each call has a thread.
    """

    def __init__(self, serve, address="127.0.0.1:0", credentials=None, **args):
        self.calls = []
        self.serve = serve
        self.lock = threading.Lock()
        self.executor = concurrent.futures.ThreadPoolExecutor(1100)
        options = {
            "grpc.so_reuseport": 0,
            "grpc.max_receive_message_length": -1,
        }
        options.update({k.replace("__", "."): v for k, v in args.items()})
        self.server = grpc.server(
            self.executor, handlers=[self], options=list(options.items())
        )
        if credentials:
            port = self.server.add_secure_port(address, credentials)
        else:
            port = self.server.add_insecure_port(address)
        self.address = (
            address if address.startswith("unix:") else "127.0.0.1:%d" % port
        )
        self.server.start()

    # What grpcio asks of a handler for any method.
    def service(self, details):
        def run(requests, context):
            call = ServedCall(details.method, requests, context)
            with self.lock:
                self.calls.append(call)
            yield from self.serve(call) or ()

        return grpc.stream_stream_rpc_method_handler(run, raw, raw)

    def connections(self):
        """How many connections calls came by."""
        return len({call.peer for call in self.calls})

    def wait_for_call(self, n=1):
        wait_until(lambda: len(self.calls) >= n, "a call")
        return self.calls[n - 1]

    def stop(self):
        self.server.stop(0).wait()
        self.executor.shutdown(wait=False)


class ServedCall:
    """A call as a controller sees it."""

    def __init__(self, method, requests, context):
        self.method = method
        self.requests = requests
        self.context = context
        self.metadata = list(context.invocation_metadata())
        self.peer = context.peer()
        self.remaining = context.time_remaining()
        self.ended = threading.Event()
        self.read_error = None
        context.add_callback(self.ended.set)

    def values(self, key):
        return [v for k, v in self.metadata if k == key]

    def wait_for_end(self):
        """Until the client has gone or got its status."""
        if not self.ended.wait(PATIENCE):
            raise AssertionError("the call did not end")

    def abort(self, code, words, *trailers):
        self.context.set_trailing_metadata(trailers)
        self.context.abort(code, words)


def echo(call):
    yield from call.requests


class Gate:
    """A TCP relay before a server that can be held and cut."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.pairs = []
        self.accepted = 0
        self.is_open = threading.Event()
        self.is_open.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                self.accepted += 1
                far = socket.create_connection(self.target)
                self.pairs.append((near, far))
                for ends in (near, far), (far, near):
                    threading.Thread(
                        target=self._relay, args=ends, daemon=True
                    ).start()

    def _relay(self, a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                self.is_open.wait()
                b.sendall(data)
        hang_up(a)
        hang_up(b)

    def hold(self):
        """From now on nothing gets through, and nothing is closed."""
        self.is_open.clear()

    def cut(self):
        """Ends all connections."""
        self.is_open.set()
        for pair in self.pairs:
            for s in pair:
                hang_up(s)
        self.pairs = []

    def stop(self):
        hang_up(self.listener)
        self.listener.close()
        self.cut()


def hang_up(s, how=socket.SHUT_RDWR):
    """Although the other end may have done so."""
    with contextlib.suppress(OSError):
        s.shutdown(how)


class ControllerProcess:
    """A controller of its own process, so that it can be killed.

    /t/Echo echoes, /t/Hang never answers.
    """

    def __init__(self, address="127.0.0.1:0"):
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), address],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self.process.stdout.readline().strip()

    def wait_for_call(self):
        """Until /t/Hang is called."""
        return self.process.stdout.readline()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    stop = kill


def serve_forever(address):
    def serve(call):
        if call.method == "/t/Hang":
            print(call.method, flush=True)
            call.wait_for_end()
        yield from call.requests

    c = Controller(serve, address)
    print(c.address, flush=True)
    threading.Event().wait()


# --- certificates ---


class Pki:
    """A certificate authority in a directory, made by oim-cert."""

    def __init__(self, directory):
        self.directory = directory
        self.run("init", directory)

    def run(self, command, *args):
        subprocess.run(
            [OIM_CERT, command, *args],
            check=True,
            capture_output=True,
            text=True,
        )

    def path(self, file):
        return os.path.join(self.directory, file)

    def read(self, file):
        with open(self.path(file), "rb") as f:
            return f.read()

    def issue(self, names, *options):
        """A certificate with these names; the name of its files."""
        self.run("issue", self.directory, names, *options)
        return names.split(",")[0]

    def revoke(self, *names):
        self.run("revoke", self.directory, *names)

    def settings(self, name, crl=False):
        """What a daemon with that certificate is started with."""
        return [
            "tls.ca=" + self.path("ca.crt"),
            "tls.cert=" + self.path(name + ".crt"),
            "tls.key=" + self.path(name + ".key"),
        ] + (["tls.crl=" + self.path("crl.pem")] if crl else [])

    def client(self, name, ca=None):
        return grpc.ssl_channel_credentials(
            (ca or self).read("ca.crt"),
            self.read(name + ".key"),
            self.read(name + ".crt"),
        )

    def server(self, name, ca=None):
        return grpc.ssl_server_credentials(
            [(self.read(name + ".key"), self.read(name + ".crt"))],
            (ca or self).read("ca.crt"),
            True,
        )


# --- tests ---


class Case(unittest.TestCase):
    """A test with a directory of its own in self.dir."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="oim-test-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.n_daemons = 0

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def daemon(self, *settings, name=None, **kwargs):
        """Starts a daemon without controllers unless settings say more.

        It listens on a Unix socket if settings do not say where. Daemons of the
        same name have the same directory.
        """
        self.n_daemons += 1
        name = name or "d%d" % self.n_daemons
        defaults = [
            "daemon.run-dir=" + self.path(name, "run"),
            "daemon.state-dir=" + self.path(name, "state"),
            "daemon.plaintext=yes",
        ]
        if not any(s.startswith("controller.") for s in settings):
            defaults.append("controller.enabled=no")
        os.makedirs(self.path(name), exist_ok=True)
        d = Daemon(self.path(name), defaults + list(settings), **kwargs)
        self.addCleanup(self._finish, d)
        return d

    def _finish(self, daemon):
        was_running = daemon.process.poll() is None
        try:
            if was_running:
                daemon.signal(signal.SIGTERM)
                status = daemon.wait()
                self.assertEqual(status, 0, daemon.log)
            else:
                daemon.wait()
        except subprocess.TimeoutExpired:
            daemon.kill()
            self.fail("oimd did not stop:\n" + daemon.log[-3000:])
        self.assertIsNone(daemon.complaint())

    def channel(self, server, credentials=None, **args):
        """A channel to a daemon, a controller or an address."""
        c = Channel(getattr(server, "address", server), credentials, **args)
        self.addCleanup(c.close)
        return c

    def controller(self, serve, *args, **kwargs):
        c = Controller(serve, *args, **kwargs)
        self.addCleanup(c.stop)
        return c

    def gate(self, target):
        g = Gate(getattr(target, "address", target))
        self.addCleanup(g.stop)
        return g

    @contextlib.contextmanager
    def assertFails(self, code, words=""):
        """The call in the block fails with that code and such words."""
        with self.assertRaises(grpc.RpcError) as caught:
            yield caught
        e = caught.exception
        self.assertEqual(e.code(), getattr(grpc.StatusCode, code), e.details())
        self.assertIn(words, e.details())

    @contextlib.contextmanager
    def assertQuick(self, seconds=1.0):
        """The block takes less than that: it did not wait for a timeout."""
        start = time.monotonic()
        yield
        self.assertLess(time.monotonic() - start, seconds)


class Result(unittest.TestResult):
    """Prints one line for each test, and more for each failure."""

    def __init__(self):
        super().__init__()
        self.failed = set()

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()

    def _print(self, test, word, note=""):
        claim = str(test.id()).rsplit(".", 1)[-1]
        claim = claim.removeprefix("test_").replace("_", " ")
        took = time.monotonic() - self.started
        if took > 1 and "#" not in note:
            note += " # %.1f s" % took
        note = note.replace("\n", "\\n")
        print("%s %d - %s%s" % (word, self.testsRun, claim, note), flush=True)

    def _print_problem(self, test, error, note=""):
        self.failed.add(test.id())
        self._print(test, "not ok", note)
        for line in "".join(traceback.format_exception(*error)).splitlines():
            print("# " + line.encode(errors="replace").decode(), flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._print(test, "ok")

    def addError(self, test, error):
        super().addError(test, error)
        self._print_problem(test, error)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._print_problem(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            note = " " + subtest._subDescription()
            self._print_problem(test, error, note)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._print(test, "ok", " # SKIP " + reason)


def main():
    """Runs the tests of the file, or those that arguments name."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    loader = unittest.defaultTestLoader
    if len(sys.argv) > 1:
        loader.testNamePatterns = ["*%s*" % a for a in sys.argv[1:]]
    suite = loader.loadTestsFromModule(sys.modules["__main__"])
    result = Result()
    suite.run(result)
    failed = len(result.failed)
    skipped = len(result.skipped)
    passed = result.testsRun - failed - skipped
    print("# passed %d failed %d skipped %d" % (passed, failed, skipped))
    sys.stdout.flush()
    # Threads of calls that a controller still serves must not hold us up.
    os._exit(1 if failed else 77 if skipped and not passed else 0)


if __name__ == "__main__":
    serve_forever(sys.argv[1])
