"""The servers that are measured: ours and their peers, each a process."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import time

START_LIMIT = 10  # seconds


def processor_time(pid):
    """Seconds so far."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Server:
    """A process that listens as long as the context lasts."""

    def __init__(self, command, log, address=None):
        """Without an address the process says where it listens."""
        self.log = log
        with open(log, "ab") as err:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdout=err if address else subprocess.PIPE,
                stderr=err,
                text=True,
                start_new_session=True,  # a ^C is for us, who clean up
            )
        try:
            self.address = address or self._read_address()
            if address:
                self._wait_for_port()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.process.terminate()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def _failed(self):
        name = self.process.args[0]
        words = pathlib.Path(self.log).read_text().strip()
        return RuntimeError(f"{name} does not start: {words}")

    def _read_address(self):
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise self._failed()
        return line.split()[-1]

    def _wait_for_port(self):
        host, port = self.address.split(":")
        end = time.monotonic() + START_LIMIT
        while self.process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection((host, int(port))).close()
                return
            time.sleep(0.01)
        raise self._failed()

    def _pids(self):
        """The process and its children."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
        return [pid, *map(int, children.read_text().split())]

    def cpu(self):
        """Seconds of processor time so far."""
        return sum(map(processor_time, self._pids()))

    def rss(self):
        """Resident memory in MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(s for s in status.splitlines() if s.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def set_cpus(self, cpus):
        for pid in self._pids():
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), cpus)


@contextlib.contextmanager
def on_one_cpu(servers):
    """Keeps the servers, and what we start meanwhile, on one CPU."""
    cpus = os.sched_getaffinity(0)

    def set_cpus(chosen):
        os.sched_setaffinity(0, chosen)
        for server in servers:
            server.set_cpus(chosen)

    set_cpus({min(cpus)})
    try:
        yield
    finally:
        set_cpus(cpus)


class Tls:
    """Certificates for all parties, in the files that each of them takes."""

    def __init__(self, oim_cert, directory):
        self.path = directory / "pki"
        names = ["user.admin", "component.registry", "controller.c1"]
        subprocess.run([oim_cert, "init", self.path], check=True)
        subprocess.run([oim_cert, "issue", self.path, *names], check=True)
        self.ca = self.path / "ca.crt"
        self.bundle = self.path / "registry.pem"
        parts = [f.read_text() for f in self.pair("component.registry")]
        self.bundle.write_text("".join(parts))

    def pair(self, name):
        return self.path / f"{name}.crt", self.path / f"{name}.key"


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


# --- ours ---

REGISTRY_ONLY = ("controller.enabled=no",)


def oimd_command(build, directory, listen, settings):
    command = [build / "oimd", "--config", "/dev/null"]
    for setting in (
        f"daemon.listen={listen}",
        "daemon.plaintext=yes",
        f"daemon.run-dir={directory}",
        f"daemon.state-dir={directory}",
        *settings,
    ):
        command += ["--set", setting]
    return command


def oimd(
    build, directory, listen="127.0.0.1:0", settings=REGISTRY_ONLY, tls=None
):
    settings = list(settings)
    if tls:
        cert, key = tls.pair("component.registry")
        settings += [f"tls.ca={tls.ca}", f"tls.cert={cert}", f"tls.key={key}"]
    command = oimd_command(build, directory, listen, settings)
    return Server(command, directory / "oimd.log")


# --- the peers ---


def echo(build, directory, listen="127.0.0.1:0", tls=None):
    """The bare server, also as controller "c1"."""
    command = [build / "tests/bench/echo_server", listen]
    if tls:
        command += [tls.ca, *tls.pair("controller.c1")]
    return Server(command, directory / "echo.log")


HAPROXY = """
global
	nbthread 1
defaults
	mode http
	timeout connect 10s
	timeout client 60s
	timeout server 60s
	http-reuse always
frontend in
	bind {address} {bind}
	default_backend out
backend out
	server echo {backend} {server}
"""


def haproxy(directory, backend, tls=None):
    """HTTP/2 on both sides, one thread, as ours."""
    address = free_address()
    bind = server = "proto h2"
    if tls:
        bind = f"ssl alpn h2 crt {tls.bundle} ca-file {tls.ca} verify required"
        server = bind + " verifyhost controller.c1"
    config = directory / "haproxy.cfg"
    config.write_text(
        HAPROXY.format(
            address=address, bind=bind, backend=backend, server=server
        )
    )
    log = directory / "haproxy.log"
    return Server(["haproxy", "-f", config], log, address)


NGINX = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.log error;
events {{ worker_connections 1024; }}
http {{
	access_log off;
	client_body_temp_path {directory}/nginx-body;
	proxy_temp_path {directory}/nginx-proxy;
	fastcgi_temp_path {directory}/nginx-fastcgi;
	uwsgi_temp_path {directory}/nginx-uwsgi;
	scgi_temp_path {directory}/nginx-scgi;
	upstream echo {{
		server {backend};
		keepalive 128;
		keepalive_requests 1000000000;
	}}
	server {{
		listen {address} http2;
		keepalive_requests 1000000000;
		location / {{ grpc_pass grpc://echo; }}
	}}
}}
"""


def nginx(directory, backend):
    address = free_address()
    config = directory / "nginx.conf"
    config.write_text(
        NGINX.format(directory=directory, address=address, backend=backend)
    )
    log = directory / "nginx.log"
    return Server(["nginx", "-c", config, "-e", log], log, address)


class Etcd:
    """A cluster of etcd members, healthy when it is made."""

    def __init__(self, directory, members=3):
        self.endpoints = [free_address() for _ in range(members)]
        peers = [f"http://{free_address()}" for _ in range(members)]
        cluster = ",".join(f"m{i}={peer}" for i, peer in enumerate(peers))
        self.members = []
        for i, (client, peer) in enumerate(zip(self.endpoints, peers)):
            command = ["etcd", "--name", f"m{i}", "--log-level", "error"]
            command += ["--data-dir", directory / f"m{i}"]
            command += ["--listen-client-urls", f"http://{client}"]
            command += ["--advertise-client-urls", f"http://{client}"]
            command += ["--listen-peer-urls", peer]
            command += ["--initial-advertise-peer-urls", peer]
            command += ["--initial-cluster", cluster]
            with open(directory / f"m{i}.log", "ab") as log:
                self.members.append(
                    subprocess.Popen(
                        [str(word) for word in command],
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )

    def __enter__(self):
        end = time.monotonic() + START_LIMIT
        while self._ctl("endpoint", "health").returncode:
            if time.monotonic() > end:
                self.__exit__()
                raise RuntimeError("etcd does not start")
            time.sleep(0.1)
        leader = [s["Endpoint"] for s in self._status() if self._leads(s)]
        self.address = leader[0]
        return self

    def __exit__(self, *exception):
        for member in self.members:
            member.kill()
            member.wait()

    def _ctl(self, *words):
        return subprocess.run(
            ["etcdctl", "--endpoints", ",".join(self.endpoints), *words],
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_output=True,
            text=True,
            check=False,
        )

    def _status(self):
        done = self._ctl("endpoint", "status", "-w", "json")
        return json.loads(done.stdout)

    @staticmethod
    def _leads(status):
        status = status["Status"]
        return status["leader"] == status["header"]["member_id"]

    def revision(self):
        return max(s["Status"]["header"]["revision"] for s in self._status())

    def cpu(self):
        """Seconds of processor time of all members so far."""
        return sum(processor_time(m.pid) for m in self.members)

    def settings(self):
        """What oimd is started with to have its registry there."""
        return (
            "store.engine=etcd",
            *[f"store.endpoints={e}" for e in self.endpoints],
        )
