"""The folder of one node: locked by the process that runs it, and its memory of ports."""

import fcntl
import os
import random
import socket
from pathlib import Path

import orjson

from ops.errors import StartError

STORE_PORTS = (21_000, 32_000)


class DataFolder:
    """Creates and locks the folder. The lock ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        """Raises StartError if another node runs in this folder or it cannot be written."""
        self.path = path.absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(f"[node] data: {self.path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = os.read(self._lock, 20).decode(errors="replace").strip()
            os.close(self._lock)
            raise StartError(
                f"[node] data: {self.path} is in use by the node with process id {pid}; "
                f"give this one a folder of its own, or start it beside that one: clarion serve --join {path}"
            ) from None
        os.truncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Lets another process have the folder."""
        os.close(self._lock)

    def port(self, name: str) -> int:
        """The loopback port remembered under this name while it is free, else a new one, remembered."""
        ports = read_ports(self.path)
        if not (ports.get(name) and is_free(ports[name])):
            ports[name] = free_port()
            target = self.path / "ports.json"
            fresh = target.with_suffix(".new")
            fresh.write_bytes(orjson.dumps(ports, option=orjson.OPT_INDENT_2))
            fresh.replace(target)
        return ports[name]


def read_ports(folder: Path) -> dict[str, int]:
    """Ports of the embedded stores of a node's folder; empty if it never had any."""
    try:
        found = orjson.loads((folder / "ports.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return {str(name): int(port) for name, port in found.items()} if isinstance(found, dict) else {}


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, below those that outgoing connections get."""
    while True:
        port = random.randrange(*STORE_PORTS)
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    """Whether a TCP server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
