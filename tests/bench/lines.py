"""The lines of the table: each function measures some and yields the rows."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import shutil
import tempfile
import time

import servers
from generators import (
    EtcdPuts,
    H2load,
    fio,
    interleave,
    load,
    run,
    side_by_side,
    sync,
)

GET = "oim.v0.Registry/GetControllers"
REGISTER = "oim.v0.Registry/RegisterController"
CHECK = "oim.v0.Controller/CheckMallocBDev"
PROVISION = "oim.v0.Controller/ProvisionMallocBDev"
MAP = "oim.v0.Controller/MapVolume"
UNMAP = "oim.v0.Controller/UnmapVolume"

STREAMS = (1, 16, 64)
MANY = 10_000
DISK_MIB = 256

# What the Go implementation was seen to do on two cores (design: Numbers).
GO_CALLS = 600
GO_CPU_MS = 1.0

# A sync that takes so long makes the group commit worth its full factor.
SLOW_SYNC_MS = 0.2


class Skip(Exception):
    """The line cannot be measured here."""


@dataclasses.dataclass
class Row:
    """value must be at_least or at_most, if there is a target; the rest is
    shown beside it."""

    what: str
    ours: str
    peer: str
    value: float
    at_least: float = None
    at_most: float = None
    unit: str = ""

    def verdict(self):
        if self.at_least is None and self.at_most is None:
            return "shown"
        if self.at_least is not None:
            return "ok" if self.value >= self.at_least else "missed"
        return "ok" if self.value <= self.at_most else "missed"

    def target(self):
        if self.at_least is not None:
            return f">= {self.at_least:g}{self.unit}"
        if self.at_most is not None:
            return f"<= {self.at_most:g}{self.unit}"
        return ""


@dataclasses.dataclass
class Bench:
    """What the lines need to know."""

    build: pathlib.Path
    oim_cert: pathlib.Path
    disk: pathlib.Path
    tmpfs: pathlib.Path
    rounds: int
    seconds: float

    def load(self, server, *args, **kwargs):
        return load(self.build, server.address, *args, **kwargs)

    def register(self, server, number, prefix="host-"):
        """New ids, 64 at once."""
        entry = f'"{prefix}@", "address": "{prefix}@.example.org:8999"'
        request = f'{{"controllerId": {entry}}}'
        return self.load(server, REGISTER, request, calls=number, streams=64)

    def side_by_side(self, generators, back_ends=()):
        return side_by_side(self.rounds, self.seconds, generators, back_ends)


@contextlib.contextmanager
def directory(where):
    with tempfile.TemporaryDirectory(prefix="oim-bench-", dir=where) as path:
        yield pathlib.Path(path)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"needs {program}")


def body(path, message):
    """A file with a gRPC message, for h2load."""
    file = path / f"body-{hashlib.sha256(message).hexdigest()}"
    file.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    return file


def rate(sample):
    return f"{sample.rate:,.0f}/s {sample.cpu:.1f} us"


def streams(number):
    return f"{number} stream{'s' if number > 1 else ''}"


# --- 1 ---


def inline(b):
    need("h2load")
    with (
        directory(b.tmpfs) as path,
        servers.oimd(b.build, path) as ours,
        servers.echo(b.build, path) as echo,
    ):
        b.register(ours, 1)
        empty = body(path, b"")
        for n in STREAMS:
            pair = [H2load(b.build, s, n, GET, empty) for s in (ours, echo)]
            mine, bare = b.side_by_side(pair)
            yield Row(
                f"GetControllers, one entry, {streams(n)}",
                rate(mine),
                f"bare server {rate(bare)}",
                mine.rate / bare.rate,
                at_least=0.85,
            )


# --- 2 ---

Registering = collections.namedtuple("Registering", "rate p50 p99")


def registering(b, server):
    """Measures calls with new ids, each time as many as take that long."""
    runs = 0
    calls = 2000

    def measure():
        nonlocal runs, calls
        runs += 1
        got = b.register(server, calls, f"r{runs}-")
        calls = max(1000, int(got["rate"] * b.seconds))
        return Registering(got["rate"], got["p50"] / 1000, got["p99"] / 1000)

    measure()
    return measure


def latencies(r):
    return f"{r.rate:,.0f}/s p50 {r.p50:.2f} p99 {r.p99:.2f} ms"


def durable(b):
    need("fio")
    with directory(b.disk) as path, servers.oimd(b.build, path) as ours:
        mine, disk = interleave(
            b.rounds, registering(b, ours), lambda: sync(path, b.seconds)
        )
    yield Row(
        f"RegisterController, new ids, disk, {streams(64)}",
        latencies(mine),
        f"fdatasync {disk.rate:,.0f}/s, {disk.ms:.3f} ms each",
        mine.rate / disk.rate,
        at_least=10 if disk.ms >= SLOW_SYNC_MS else 3.5,
    )
    with (
        directory(b.tmpfs) as path,
        servers.oimd(b.build, path) as ours,
        servers.echo(b.build, path) as echo,
    ):
        mine, bare = interleave(
            b.rounds, registering(b, ours), registering(b, echo)
        )
    yield Row(
        f"RegisterController, new ids, tmpfs, {streams(64)}",
        latencies(mine),
        f"bare server {latencies(bare)}",
        mine.rate / bare.rate,
        at_least=0.5,
    )


# --- 3 ---


def through(b, path, proxies, back_end, tls=None):
    """Calls to the back end through each of the proxies, the first of which is
    ours: yields the number of streams, and a sample of each."""
    entry = f'{{"controllerId": "c1", "address": "{back_end.address}"}}'
    b.load(proxies[0], REGISTER, entry, tls=tls)
    call = {
        "method": CHECK,
        "body": body(path, b"\x0a\x02d0"),
        "request": '{"bdevName": "d0"}',
        "controller": "c1",
        "tls": tls,
    }
    for n in STREAMS:
        generators = [H2load(b.build, p, n, **call) for p in proxies]
        yield n, b.side_by_side(generators, [back_end])


def forwarded(b):
    need("h2load", "haproxy", "nginx")
    with (
        directory(b.tmpfs) as path,
        servers.echo(b.build, path) as echo,
        servers.oimd(b.build, path) as ours,
        servers.haproxy(path, echo.address) as haproxy,
        servers.nginx(path, echo.address) as nginx,
    ):
        proxies = [ours, haproxy, nginx]
        for n, (mine, ha, ngx) in through(b, path, proxies, echo):
            for name, peer, least in ("haproxy", ha, 0.9), ("nginx", ngx, 1.5):
                yield Row(
                    f"forwarded call, TCP, {streams(n)}",
                    rate(mine),
                    f"{name} {rate(peer)}",
                    mine.rate / peer.rate,
                    at_least=least,
                )


def forwarded_with_tls(b):
    need("h2load", "haproxy", "openssl")
    with directory(b.tmpfs) as path, contextlib.ExitStack() as stack:
        tls = servers.Tls(b.oim_cert, path)
        echo = stack.enter_context(servers.echo(b.build, path, tls=tls))
        ours = stack.enter_context(servers.oimd(b.build, path, tls=tls))
        haproxy = stack.enter_context(servers.haproxy(path, echo.address, tls))
        for n, (mine, ha) in through(b, path, [ours, haproxy], echo, tls):
            yield Row(
                f"forwarded call, mutual TLS, {streams(n)}",
                rate(mine),
                f"haproxy {rate(ha)}",
                mine.rate / ha.rate,
                at_least=0.9,
            )


# --- 4 ---


def many(b):
    need("h2load")
    with directory(b.tmpfs) as path, servers.oimd(b.build, path) as ours:
        b.register(ours, MANY)
        generator = H2load(b.build, ours, 16, GET, body(path, b""))
        (mine,) = b.side_by_side([generator])
    yield Row(
        f"GetControllers, {MANY:,} entries,"
        f" {generator.reply_bytes / 1024:.0f} KiB",
        f"{mine.rate:,.0f}/s {mine.cpu / 1000:.2f} ms CPU",
        f"Go, on record {GO_CALLS}/s {GO_CPU_MS:.2f} ms CPU",
        mine.rate / GO_CALLS,
        at_least=3,
    )


# --- 5 ---

WITH_CONTROLLER = ("controller.c0.plane=null",)


def memory(b):
    with directory(b.disk) as path:
        address = f"unix:{path}/oimd.sock"
        with (
            servers.oimd(b.build, path, address, WITH_CONTROLLER) as ours,
            servers.echo(b.build, path, f"unix:{path}/echo.sock") as echo,
        ):
            b.load(ours, GET)
            b.load(echo, GET)
            idle, bare = ours.rss(), echo.rss()
            b.register(ours, MANY)
            b.load(ours, GET, calls=200, streams=4)
            full = ours.rss()
    yield Row(
        "resident memory, idle",
        f"{idle:.1f} MiB",
        f"bare server {bare:.1f} MiB",
        idle,
        at_most=16,
        unit=" MiB",
    )
    yield Row(
        f"resident memory, {MANY:,} controllers, listed",
        f"{full:.1f} MiB",
        "",
        full,
        at_most=28,
        unit=" MiB",
    )


# --- 6 ---


def milliseconds(command):
    """Measures a process from its start to its end."""
    command = [str(word) for word in command]
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]

    def measure():
        began = time.perf_counter()
        pid = os.posix_spawn(
            command[0], command, os.environ, file_actions=quiet
        )
        status = os.waitpid(pid, 0)[1]
        if status:
            raise RuntimeError(f"{command[0]} failed")
        return (time.perf_counter() - began) * 1000

    return measure


def client(b):
    oimctl = b.build / "oimctl"
    if not oimctl.exists():
        raise Skip(f"{oimctl} is not built")
    with directory(b.tmpfs) as path:
        address = f"unix:{path}/oimd.sock"
        with servers.oimd(b.build, path, address) as server:
            b.register(server, 1)
            mine, bare = interleave(
                18 * b.rounds,
                milliseconds(
                    [oimctl, "--server", address, "list", "controllers"]
                ),
                milliseconds(
                    [b.build / "tests/bench/bare_client", address, f"/{GET}"]
                ),
            )
    yield Row(
        "oimctl list controllers, whole process",
        f"{mine:.2f} ms",
        f"bare client {bare:.2f} ms",
        mine / bare,
        at_most=1.3,
    )


# --- 7 ---


def first_answer(b):
    with directory(b.disk) as path:

        def start(address, command):
            tool = b.build / "tests/bench/first_call"
            return lambda: float(run([tool, address, *command]))

        ours, echo = f"unix:{path}/oimd.sock", f"unix:{path}/echo.sock"
        start_oimd = start(
            ours, servers.oimd_command(b.build, path, ours, WITH_CONTROLLER)
        )
        start_echo = start(echo, [b.build / "tests/bench/echo_server", echo])
        start_oimd()  # makes the store
        mine, bare = interleave(4 * b.rounds, start_oimd, start_echo)
    yield Row(
        "start to first answered call",
        f"{mine:.2f} ms",
        f"bare server {bare:.2f} ms",
        mine,
        at_most=10,
        unit=" ms",
    )


# --- 8 ---


@contextlib.contextmanager
def mapped_disk(b, path):
    """The node of a malloc bdev that is mapped by oimd."""
    address = f"unix:{path}/oimd.sock"
    settings = (
        "controller.c0.plane=kernel",
        f"controller.c0.memory-dir={path}/memory",
    )
    provision = f'{{"bdevName": "{path.name}", "size": "%d"}}'
    volume = f'{{"volumeId": "{path.name}", "malloc": {{}}}}'
    with servers.oimd(b.build, path, address, settings) as server:
        b.load(server, PROVISION, provision % (DISK_MIB << 20))
        found = b.load(server, MAP, volume)
        try:
            yield "/dev/" + os.path.basename(found["reply"]["device"])
        finally:
            b.load(server, UNMAP, f'{{"volumeId": "{path.name}"}}')
            b.load(server, PROVISION, provision % 0)


@contextlib.contextmanager
def plain_disk(path):
    """A loop device on a tmpfs file, with the settings of ours."""
    file = path / "plain"
    run(["fallocate", "-l", f"{DISK_MIB}M", file])
    attach = ["losetup", "--find", "--show", "--direct-io=on"]
    node = run([*attach, "--sector-size", 512, file]).strip()
    try:
        yield node
    finally:
        run(["losetup", "--detach", node])


def disk_io(b):
    need("fio", "losetup", "fallocate")
    if os.geteuid() != 0:
        raise Skip("needs root")

    def measure(node, kind):
        options = ["--direct=1", "--ioengine=libaio", "--iodepth=16"]
        options += [f"--rw=rand{kind}", "--allow_file_create=0"]
        return lambda: fio(node, b.seconds, *options)[kind]["iops"]

    with (
        directory(b.tmpfs) as path,
        mapped_disk(b, path) as ours,
        plain_disk(path) as plain,
    ):
        for kind in "read", "write":
            mine, peer = interleave(
                b.rounds, measure(ours, kind), measure(plain, kind)
            )
            yield Row(
                f"random 4 KiB {kind}, mapped malloc bdev",
                f"{mine:,.0f}/s",
                f"loop device {peer:,.0f}/s",
                mine / peer,
                at_least=0.95,
            )


# --- 9 ---


def with_etcd(b):
    """No targets: what it costs that several registries share their data."""
    need("etcd", "etcdctl", "h2load")
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(directory(b.disk))
        etcd = stack.enter_context(servers.Etcd(path))
        settings = (*servers.REGISTRY_ONLY, *etcd.settings())
        ours = stack.enter_context(
            servers.oimd(b.build, path, settings=settings)
        )
        other = stack.enter_context(directory(b.disk))
        lmdb = stack.enter_context(servers.oimd(b.build, other))
        echo = stack.enter_context(servers.echo(b.build, path))
        yield from forward_with_etcd(b, ours, lmdb, echo, path)
        yield from list_with_etcd(b, ours, lmdb, path, "one entry")
        for server in ours, lmdb:
            b.register(server, MANY - 1)
        yield from list_with_etcd(b, ours, lmdb, path, f"{MANY:,} entries")
        yield from register_with_etcd(b, etcd, ours, lmdb, path)


def forward_with_etcd(b, ours, lmdb, echo, path):
    entry = f'{{"controllerId": "c1", "address": "{echo.address}"}}'
    call = {
        "method": CHECK,
        "body": body(path, b"\x0a\x02d0"),
        "request": '{"bdevName": "d0"}',
        "controller": "c1",
    }
    for server in ours, lmdb:
        b.load(server, REGISTER, entry)
    pair = [H2load(b.build, s, 64, **call) for s in (ours, lmdb)]
    mine, embedded = b.side_by_side(pair, [echo])
    yield Row(
        f"forwarded call, etcd, {streams(64)}",
        rate(mine),
        f"LMDB {rate(embedded)}",
        mine.rate / embedded.rate,
    )


def list_with_etcd(b, ours, lmdb, path, number):
    pair = [
        H2load(b.build, s, 16, GET, body(path, b"")) for s in (ours, lmdb)
    ]
    mine, embedded = b.side_by_side(pair)
    yield Row(
        f"GetControllers, {number}, etcd, {streams(16)}",
        rate(mine),
        f"LMDB {rate(embedded)}",
        mine.rate / embedded.rate,
    )


def register_with_etcd(b, etcd, ours, lmdb, path):
    key = b"\x0a\x1e" + b"k" * 30
    puts = EtcdPuts(etcd, body(path, key + b"\x12\x64" + b"v" * 100))
    mine, embedded, put = interleave(
        b.rounds,
        registering(b, ours),
        registering(b, lmdb),
        lambda: puts.measure(max(1000, int(8000 * b.seconds))),
    )
    yield Row(
        f"RegisterController, new ids, etcd, {streams(64)}",
        latencies(mine),
        f"etcd's own put {put:,.0f}/s",
        mine.rate / put,
    )
    yield Row(
        f"RegisterController, new ids, etcd, {streams(64)}",
        f"{mine.rate:,.0f}/s",
        f"LMDB {latencies(embedded)}",
        mine.rate / embedded.rate,
    )


# --- 10 ---

INTERVAL = 60  # seconds between two registrations of a controller
ALIVE_SECONDS = 20


def renewing(b, server, prefix, number, **kwargs):
    """Registrations of so many controllers, with a time to live."""
    entry = f'"{prefix}@", "address": "dns:///{prefix}@.example.org:8999"'
    return b.load(
        server,
        REGISTER,
        f'{{"controllerId": {entry}}}',
        calls=number,
        metadata=[f"oim-ttl={3 * INTERVAL}", "oim-instance=i"],
        **kwargs,
    )


def many_alive(b):
    """As many controllers as MANY, half of them at each of two registries."""
    need("etcd", "etcdctl")
    half = MANY // 2
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(directory(b.disk))
        etcd = stack.enter_context(servers.Etcd(path))
        settings = (*servers.REGISTRY_ONLY, *etcd.settings())
        ours = []
        for _ in range(2):
            own = stack.enter_context(directory(b.disk))
            server = servers.oimd(b.build, own, settings=settings)
            ours.append(stack.enter_context(server))
        pairs = list(zip(ours, "ab"))
        for server, prefix in pairs:
            renewing(b, server, prefix, half, streams=64)
        processes = [*ours, etcd]
        before = [p.cpu() for p in processes]
        revision = etcd.revision()
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            rate_of_one = half // INTERVAL
            number = rate_of_one * ALIVE_SECONDS
            runs = [
                pool.submit(renewing, b, s, x, number, rate=rate_of_one)
                for s, x in pairs
            ]
            p99 = max(run.result()["p99"] for run in runs) / 1000
        took = time.monotonic() - began
        cpu = [
            (p.cpu() - was) / took * 100 for p, was in zip(processes, before)
        ]
        written = (etcd.revision() - revision) / took
        rss = max(server.rss() for server in ours)
    each = (cpu[0] + cpu[1]) / 2
    rates = f"{2 * number / took:,.0f} renewals/s, p99 {p99:.1f} ms"
    yield Row(
        f"{MANY:,} controllers, {INTERVAL} s, two registries",
        f"{each:.1f} % CPU, {rss:.1f} MiB each",
        f"etcd {cpu[2]:.1f} % CPU, {written:.1f} writes/s; {rates}",
        each,
        unit=" %",
    )
    limit = 100 / ((each * 2 + cpu[2]) / MANY) * os.cpu_count()
    yield Row(
        f"{10 * MANY:,} controllers, computed",
        f"{10 * each:.0f} % CPU each",
        f"etcd {10 * cpu[2]:.0f} % CPU, all on one machine here",
        10 * (2 * each + cpu[2]),
        unit=" %",
    )
    yield Row(
        f"controllers that keep {os.cpu_count()} CPUs busy",
        f"{limit:,.0f}, computed",
        "",
        limit,
    )


LINES = {
    "1": (inline,),
    "2": (durable,),
    "3": (forwarded, forwarded_with_tls),
    "4": (many,),
    "5": (memory,),
    "6": (client,),
    "7": (first_answer,),
    "8": (disk_io,),
    "9": (with_etcd,),
    "10": (many_alive,),
}
