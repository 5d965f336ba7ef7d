"""Nodes of this project as the tests start them: `clarion serve --config FILE` in a process of its own."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.phones.certificates import Certificates
from tests.phones.program import DOMAIN, LOOPBACK, Program, free_port

START_LIMIT = 30.0
Options = Mapping[str, Mapping[str, object]]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


def clarion_command() -> list[str]:
    """How the console script of this very environment is called."""
    script = Path(sys.executable).with_name("clarion")
    return [str(script)] if script.exists() else [sys.executable, "-m", "ops.cli"]


class ClarionNode:
    """One node; started when made, and again by `start()` after `stop()` or `kill()` with the same ports
    and data.

    `options` are sections of the configuration file that win over what is needed here.
    """

    def __init__(
        self,
        certificates: Certificates,
        *,
        name: str = "a",
        redis: str = "embedded",
        etcd: list[str] | str = "embedded",
        options: Options | None = None,
        environment: Mapping[str, str] | None = None,
        cpu: int | None = None,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        # a short path: the admin socket lives in it, and the name of a socket has 107 bytes at most
        self.folder = Path(tempfile.mkdtemp(prefix=f"clarion-{name}-"))
        self.ca = certificates.ca
        self.sip, self.tls, self.internal = free_port(), free_port(), free_port()
        self.environment = dict(environment or {})
        self.cpu = cpu
        self.prefix = prefix
        self.config = self.folder / "clarion.toml"
        sections: dict[str, dict[str, object]] = {
            "node": {
                "name": name,
                "domains": [DOMAIN],
                "listen": [f"{t}:{LOOPBACK}:{self.address(t)[1]}" for t in ("udp", "tcp", "tls")],
                "internal": f"tcp:{LOOPBACK}:{self.internal}",
                "data": str(self.folder / "data"),
                "drain_timeout": 3,
            },
            "tls": {"cert": certificates.cert, "key": certificates.key},
            "redis": {"url": redis},
            "etcd": {"endpoints": etcd},
        }
        for section, values in (options or {}).items():
            sections.setdefault(section, {}).update(values)
        lines = []
        for section, values in sections.items():
            lines += [f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
        self.config.write_text("\n".join(lines) + "\n")
        self.program: Program
        self.start()

    def start(self) -> None:
        """Starts the node and waits until it says that it is ready (sd_notify)."""
        address = str(self.folder / "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(address)
            notify.settimeout(0.2)
            self.program = Program(
                f"node {self.name}",
                [*self.prefix, *clarion_command(), "serve", "--config", str(self.config)],
                self.folder,
                {"NOTIFY_SOCKET": address, "PYTHONUNBUFFERED": "1", **self.environment},
                self.cpu,
            )
            deadline = time.monotonic() + START_LIMIT
            while time.monotonic() < deadline and self.program.alive:
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in notify.recv(4096):
                        return
        text = self.evidence("does not start")
        self.close()
        raise AssertionError(text)

    @property
    def pid(self) -> int:
        return self.program.pid

    def address(self, transport: str) -> tuple[str, int]:
        """Where phones connect by this transport."""
        return LOOPBACK, self.tls if transport == "tls" else self.sip

    def evidence(self, complaint: str) -> str:
        return self.program.evidence(complaint)

    def get(self, path: str) -> tuple[int, bytes]:
        """One GET on the admin socket: status and body."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(5)
            peer.connect(str(self.folder / "data" / "admin.sock"))
            connection = http.client.HTTPConnection("localhost")
            connection.sock = peer
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def terminate(self) -> None:
        """SIGTERM, which drains; `wait_end()` of the program tells when it is over."""
        self.program.signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: the node vanishes as in a power cut."""
        self.program.signal(signal.SIGKILL)
        self.program.wait_end()
        self.program.stop()

    def stop(self) -> None:
        self.program.stop(10)

    def close(self) -> None:
        """Ends the node and forgets its data."""
        self.program.stop(10)
        shutil.rmtree(self.folder, ignore_errors=True)
