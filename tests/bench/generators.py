"""What makes the load, and what is read from its output."""

import collections
import contextlib
import json
import os
import re
import statistics
import subprocess

import servers

# One measurement: calls a second, and the server's CPU microseconds for each.
Sample = collections.namedtuple("Sample", "rate cpu")
# fdatasync calls a second, and milliseconds that one takes.
Sync = collections.namedtuple("Sync", "rate ms")


class Failed(Exception):
    """Something went wrong with the calls: then there is no figure."""


def run(command, env=None):
    command = [str(word) for word in command]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        check=False,
    )
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Failed(f"{command[0]}: {' '.join(words) or done.returncode}")
    return done.stdout


# --- calls ---


def load(
    build,
    address,
    method,
    request="{}",
    calls=1,
    streams=1,
    controller=None,
    tls=None,
    rate=None,
    metadata=(),
):
    """Our own generator, which looks at every status: what it counted, and the
    last reply."""
    command = [build / "tests/bench/load", "--server", address, "--show"]
    command += ["--calls", calls, "--streams", streams]
    if controller:
        command += ["--controller", controller]
    if rate:
        command += ["--rate", rate]
    for pair in metadata:
        command += ["--metadata", pair]
    if tls:
        cert, key = tls.pair("user.admin")
        command += ["--ca", tls.ca, "--cert", cert, "--key", key]
        command += ["--tls-name", "component.registry"]
    counts, _, reply = run([*command, method, request]).partition("\n")
    result = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", counts)}
    result["reply"] = json.loads(reply)
    return result


class H2load:
    """
    Calls of one method on one server by h2load, which counts any reply as
    success. So a real client calls first, and after each run the bytes of all
    replies must be what it was given: a call that fails has none.
    """

    def __init__(
        self,
        build,
        server,
        streams,
        method,
        body,
        request="{}",
        controller=None,
        tls=None,
    ):
        self.server = server
        self.streams = streams
        self.calls = None
        proof = load(
            build,
            server.address,
            method,
            request,
            controller=controller,
            tls=tls,
        )
        self.reply_bytes = 5 + proof["bytes"]
        headers = ["te: trailers", "content-type: application/grpc"]
        if controller:
            headers.append(f"controllerid: {controller}")
        scheme = "https" if tls else "http"
        self.command = ["h2load", "-c", 1, "-m", streams, "-d", body]
        for header in headers:
            self.command += ["-H", header]
        self.command.append(f"{scheme}://{server.address}/{method}")
        self.env = tls and self._with_certificate(build, tls)

    def _with_certificate(self, build, tls):
        cert, key = tls.pair("user.admin")
        return {
            "LD_PRELOAD": str(build / "tests/bench/h2load_cert.so"),
            "OIM_BENCH_CERT": str(cert),
            "OIM_BENCH_KEY": str(key),
        }

    def _run(self, calls):
        out = run([*self.command, "-n", calls], self.env)
        done = re.search(r"(\d+) succeeded, 0 failed, 0 errored", out)
        data = re.search(r"\((\d+)\) data", out)
        if not done or int(done[1]) != calls:
            raise Failed(f"h2load: calls to {self.server.address} failed")
        if int(data[1]) != calls * self.reply_bytes:
            raise Failed(f"h2load: wrong replies from {self.server.address}")
        return float(re.search(r"finished in .*, ([\d.]+) req/s", out)[1])

    def measure(self, seconds):
        if not self.calls:
            few = max(20, 10 * self.streams)
            more = max(few, int(self._run(few) * seconds / 5))
            self.calls = max(few, int(self._run(more) * seconds))
        before = self.server.cpu()
        rate = self._run(self.calls)
        spent = self.server.cpu() - before
        return Sample(rate, spent / self.calls * 1e6)


class EtcdPuts:
    """Puts of one key, 64 at once, as etcd itself does them; each that is
    counted gave it a revision."""

    METHOD = "etcdserverpb.KV/Put"

    def __init__(self, etcd, body):
        self.etcd = etcd
        self.command = ["h2load", "-c", 1, "-m", 64, "-d", body]
        self.command += ["-H", "te: trailers"]
        self.command += ["-H", "content-type: application/grpc"]
        self.command += [f"http://{etcd.address}/{self.METHOD}"]

    def measure(self, calls):
        before = self.etcd.revision()
        out = run([*self.command, "-n", calls])
        if self.etcd.revision() - before != calls:
            raise Failed("h2load: puts to etcd failed")
        return float(re.search(r"finished in .*, ([\d.]+) req/s", out)[1])


# --- several in turn ---


def median(samples):
    if isinstance(samples[0], tuple):
        columns = zip(*samples)
        return type(samples[0])(*(statistics.median(c) for c in columns))
    return statistics.median(samples)


def interleave(rounds, *measures):
    """Runs the measures in turn, and returns the median of each."""
    samples = [[] for _ in measures]
    for _ in range(rounds):
        for measure, got in zip(measures, samples):
            got.append(measure())
    return [median(got) for got in samples]


def side_by_side(rounds, seconds, generators, back_ends=()):
    """
    Measures generators that send the same to different servers. With one
    stream all parties take turns, and the scheduler's choice to have them on
    one CPU or on several changes the figures by a factor of two: there we
    choose one.
    """
    processes = [*back_ends, *(g.server for g in generators)]
    measures = [lambda g=g: g.measure(seconds) for g in generators]
    is_lone = generators[0].streams == 1
    with servers.on_one_cpu(processes) if is_lone else contextlib.nullcontext():
        return interleave(rounds, *measures)


# --- disks ---


def fio(filename, seconds, *options):
    """The first job of fio's report."""
    command = ["fio", "--name=bench", f"--filename={filename}", "--bs=4k"]
    command += ["--time_based", f"--runtime={round(seconds * 1000)}ms"]
    out = run([*command, *options, "--output-format=json"])
    return json.loads(out[out.index("{") :])["jobs"][0]


def sync(directory, seconds):
    """Syncs of single blocks, in place."""
    path = directory / "sync"
    options = ["--size=4m", "--rw=write", "--overwrite=1", "--fdatasync=1"]
    job = fio(path, seconds, *options)
    path.unlink()
    return Sync(job["write"]["iops"], job["sync"]["lat_ns"]["mean"] / 1e6)
