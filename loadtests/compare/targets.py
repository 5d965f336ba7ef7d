"""The servers that are compared, each on the server's CPU and on free loopback ports."""

import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Protocol

from loadtests.compare.cpu import cpu_seconds, server_cpu
from tests.phones.certificates import make_certificates
from tests.phones.clarion import ClarionNode
from tests.phones.program import LOOPBACK, PATIENCE, Program, free_port
from tests.stores import EtcdServer, RedisServer


class Target(Protocol):
    """A server under load."""

    name: str
    pid: int

    def address(self) -> tuple[str, int]: ...
    def store_seconds(self) -> float: ...
    def close(self) -> None: ...


class Clarion:
    """One node on a real Redis that keeps nothing on disk, as Kamailio in memory does not."""

    name = "clarion"

    def __init__(
        self, folder: Path, environment: dict[str, str] | None = None, prefix: tuple[str, ...] = ()
    ) -> None:
        self._redis = RedisServer().start()
        self._etcd = EtcdServer().start()
        self.node = ClarionNode(
            make_certificates(folder / "tls"),
            name="bench",
            redis=self._redis.url,
            etcd=[self._etcd.endpoint],
            options={"registrar": {"max_expires": 7200}, "log": {"level": "warning"}},
            environment=environment,
            cpu=server_cpu(),
            prefix=prefix,
        )
        self.pid = self.node.pid

    def address(self) -> tuple[str, int]:
        return self.node.address("udp")

    def store_seconds(self) -> float:
        """CPU time that Redis has used."""
        return cpu_seconds([self._redis.pid])

    def close(self) -> None:
        self.node.close()
        self._etcd.close()
        self._redis.close()


class Kamailio:
    """Kamailio 5.6 tuned for speed: registrar in memory, allocator fm, two workers per transport."""

    name = "kamailio"

    def __init__(self, folder: Path) -> None:
        home = Path(tempfile.mkdtemp(prefix="kamailio-", dir=folder))
        self._port = free_port()
        argv = [
            kamailio_program() or "kamailio",
            "-DD",
            "-E",
            "-x",
            "fm",
            "-X",
            "fm",
            "-m",
            "2048",
            "-M",
            "16",
        ]
        argv += [
            "-f",
            str(Path(__file__).with_name("kamailio.cfg")),
            "-Y",
            str(home),
            "-A",
            f"SIP_PORT={self._port}",
        ]
        self._program = Program("kamailio", argv, home, cpu=server_cpu())
        self.pid = self._program.pid
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._program.alive:
            try:
                socket.create_connection(self.address(), 0.3).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self._program.evidence("does not start"))

    def address(self) -> tuple[str, int]:
        return LOOPBACK, self._port

    def store_seconds(self) -> float:
        return 0.0

    def close(self) -> None:
        self._program.stop()


def kamailio_program() -> str | None:
    """Path of Kamailio, None where it is not installed."""
    return shutil.which("kamailio") or shutil.which("kamailio", path="/usr/sbin:/usr/local/sbin")
