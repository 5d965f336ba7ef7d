"""Which connection leads to the master of a key: one server, a master behind sentinels, or a cluster.

Honest about changes: whenever a connection is lost, a master moves or a slot changes its master, `on_change`
is called and the owner forgets what it has cached. A watcher asks once per second, and at once after a
redirection; a master that moved is followed without a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
from binascii import crc_hqx
from collections.abc import Callable
from typing import Any

import msgspec

from cluster.ending import end
from cluster.errors import StoreUnavailable
from cluster.redis.address import ConnectionOptions, StoreAddress
from cluster.redis.clock import StoreClock
from cluster.redis.connection import Connection
from cluster.redis.discovery import Shard, find_master, find_shards
from cluster.settings import RedisSettings

_WATCH_PERIOD = 1.0
_SLOTS = 16384


class Callbacks(msgspec.Struct, frozen=True):
    """What the owner of a topology wants to hear, and what each new connection is greeted with."""

    greeting: tuple[tuple[bytes | str | int, ...], ...] = ()
    on_push: Callable[[list[Any]], None] = lambda _: None
    on_up: Callable[[Connection], None] = lambda _: None
    on_down: Callable[[Connection, str], None] = lambda _connection, _reason: None
    on_change: Callable[[], None] = lambda: None
    clock: StoreClock | None = None


def slot_of(key: bytes) -> int:
    """The slot of a key; only what is inside the first {} counts, if there is something."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % _SLOTS


class SingleMaster:
    """One master: at a fixed address, or wherever the sentinels say."""

    def __init__(
        self, address: StoreAddress, settings: RedisSettings, options: ConnectionOptions, hear: Callbacks
    ) -> None:
        self._address = address
        self._settings = settings
        self._hear = hear
        self._connection = Connection(
            self.locate,
            options,
            greeting=hear.greeting,
            on_push=hear.on_push,
            on_up=hear.on_up,
            on_down=hear.on_down,
            clock=hear.clock,
        )
        self._watcher: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._connection.start()
        if self._address.kind == "sentinel":
            self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        await end(self._watcher)
        await self._connection.close()

    async def locate(self) -> tuple[str, int]:
        """Where the master is now. Raises StoreUnavailable."""
        if self._address.kind == "sentinel":
            return await find_master(self._address, self._settings)
        return self._address.hosts[0]

    def route(self, key: bytes) -> Connection:
        return self._connection

    def at(self, host: str, port: int) -> Connection | None:
        """A redirection from a server that is part of a cluster: `[redis] url` should say cluster://."""
        return None

    @property
    def connections(self) -> tuple[Connection, ...]:
        return (self._connection,)

    @property
    def connected(self) -> bool:
        return self._connection.up

    def refresh(self) -> None:
        """A server said it is no master (any more): leave it, and ask anew."""
        self._hear.on_change()
        self._connection.reconnect("the server is not the master any more")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_PERIOD)
            with contextlib.suppress(StoreUnavailable):
                master = await self.locate()
                if self._connection.up and master != self._connection.address:
                    self._connection.reconnect(f"the sentinels name {master[0]}:{master[1]} as master")


class Cluster:
    """A Redis Cluster: one connection per master, and the map of slots."""

    def __init__(
        self, address: StoreAddress, settings: RedisSettings, options: ConnectionOptions, hear: Callbacks
    ) -> None:
        self._address = address
        self._settings = settings
        self._options = options
        self._hear = hear
        self._shards: tuple[Shard, ...] = ()
        self._by_address: dict[tuple[str, int], Connection] = {}
        self._slots: list[Connection] = []
        self._watcher: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        self._nowhere = Connection(_nowhere, options)  # never started: every command fails at once
        self._nowhere.reason = "the Redis Cluster has not told its slots yet"

    def start(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def close(self) -> None:
        await end(self._watcher)
        for connection in self._by_address.values():
            await connection.close()
        await asyncio.gather(*self._closing)

    def route(self, key: bytes) -> Connection:
        return self._slots[slot_of(key)] if self._slots else self._nowhere

    def at(self, host: str, port: int) -> Connection | None:
        return self._by_address.get((host, port))

    @property
    def connections(self) -> tuple[Connection, ...]:
        return tuple(self._by_address.values()) or (self._nowhere,)

    @property
    def connected(self) -> bool:
        return bool(self._by_address) and all(connection.up for connection in self._by_address.values())

    def refresh(self) -> None:
        """A slot has another master: forget what is cached, ask for the map now."""
        self._hear.on_change()
        self._hurry.set()

    async def _watch(self) -> None:
        while True:
            known = [(shard.host, shard.port) for shard in self._shards]
            up = [address for address in known if self._by_address[address].up]
            asked = list(dict.fromkeys([*up, *self._address.hosts, *known]))
            try:
                self._apply(await find_shards(asked, self._address, self._settings))
            except StoreUnavailable as error:
                self._nowhere.reason = error.reason
                if not self._shards:
                    self._hear.on_down(self._nowhere, error.reason)
            self._hurry.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WATCH_PERIOD):
                    await self._hurry.wait()

    def _apply(self, shards: tuple[Shard, ...]) -> None:
        if shards == self._shards:
            return
        before, self._shards = self._by_address, shards
        self._by_address = {}
        slots = [self._nowhere] * _SLOTS
        for shard in shards:
            address = (shard.host, shard.port)
            connection = before.pop(address, None) or self._open(address)
            self._by_address[address] = connection
            for first, last in shard.ranges:
                slots[first : last + 1] = [connection] * (last + 1 - first)
        self._slots = slots
        for connection in before.values():
            task = asyncio.get_running_loop().create_task(connection.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._hear.on_change()

    def _open(self, address: tuple[str, int]) -> Connection:
        async def locate() -> tuple[str, int]:
            return address

        hear = self._hear
        connection = Connection(
            locate,
            self._options,
            greeting=hear.greeting,
            on_push=hear.on_push,
            on_up=hear.on_up,
            on_down=hear.on_down,
            clock=hear.clock,
        )
        connection.start()
        return connection


async def _nowhere() -> tuple[str, int]:
    raise StoreUnavailable("the Redis Cluster has not told its slots yet")


Topology = SingleMaster | Cluster


def make_topology(
    address: StoreAddress, settings: RedisSettings, options: ConnectionOptions, hear: Callbacks
) -> Topology:
    """The kind of topology that the address asks for; not started yet."""
    kind = Cluster if address.kind == "cluster" else SingleMaster
    return kind(address, settings, options, hear)
