"""One walk through all keys: SCAN by SCAN on each master, what a SCAN brings is a step.

A step looks at its keys with one small script each, all on their way together, and is followed by a pause
four times as long as it took: a sweep takes a fifth of the node's time at most, and Redis never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from cluster.collect.events import BindingExpired
from cluster.collect.fence import Fence
from cluster.errors import StoreUnavailable
from cluster.events import Emit
from cluster.location.binding import decode
from cluster.location.service import LocationService
from cluster.messages.events import MessageExpired
from cluster.messages.pending import Expired, Swept
from cluster.redis.connection import Connection, settle
from cluster.redis.script import Script
from cluster.redis.topology import Cluster

SHARE = 4  # a pause is so many times as long as the step before it
MESSAGES_AT_ONCE = 100  # that one script looks at

_EXPIRED = Script.read(Path(__file__).with_name("expired.lua"))
_FENCE = Script.read(Path(__file__).with_name("fence.lua"))


class Outdone(Exception):
    """Another collector has been elected since; `fence` is its number."""

    def __init__(self, fence: int) -> None:
        super().__init__(f"Redis knows of a later collector (fence {fence})")
        self.fence = fence


class Queues(Protocol):
    """What a sweep needs of the store of messages."""

    async def sweep(self, aor: str, fence: Fence, count: int) -> Swept | None: ...
    def correct(self, counted: int) -> None: ...


class Tally(msgspec.Struct):
    """What a sweep saw, and what it took out."""

    keys: int = 0
    users: int = 0
    bindings: int = 0  # expired
    messages: int = 0  # expired
    pending: int = 0
    seconds: float = 0.0


class Sweep:
    """One walk. It ends before its time where `sure()` is false: this node may be leader no more."""

    def __init__(
        self,
        locations: LocationService,
        queues: Queues | None,
        prefix: str,
        fence: int,
        step: int,
        keep: bool,
        sure: Callable[[], bool],
        emit: Emit,
        waiting: Callable[[str], None],
    ) -> None:
        """`keep`: users without bindings are remembered. `waiting(aor)` is told of messages that nobody
        delivers to a user who has a binding."""
        self._locations = locations
        self._store = locations.store
        self._queues = queues
        self._bindings = f"{prefix}:aor:{{".encode()
        self._messages = f"{prefix}:messages:{{".encode()
        self._key = f"{prefix}:collect:fence".encode()
        self._cluster = isinstance(self._store.topology, Cluster)
        self._fence = Fence(b"" if self._cluster else self._key, fence)
        self._pattern = f"{prefix}:*:{{*".encode()
        self._step = step
        self._keep = b"1" if keep else b"0"
        self._sure = sure
        self._emit = emit
        self._waiting = waiting
        self.tally = Tally()

    async def run(self) -> bool:
        """True when it saw everything. Raises StoreUnavailable and Outdone."""
        clock = asyncio.get_running_loop().time
        began = clock()
        for connection in self._store.topology.connections:
            async for keys in self._scan(connection):
                if not self._sure():
                    return False
                started = clock()
                await self._look(keys)
                self.tally.seconds = clock() - began
                await asyncio.sleep(SHARE * (clock() - started))
        if self._queues is not None:
            self._queues.correct(self.tally.pending)
        return True

    async def _scan(self, connection: Connection) -> AsyncIterator[list[bytes]]:
        cursor: Any = 0
        while cursor != b"0":
            cursor, keys = await connection.call("SCAN", cursor, "MATCH", self._pattern, "COUNT", self._step)
            if keys:
                yield keys

    async def _look(self, keys: list[bytes]) -> None:
        self.tally.keys += len(keys)
        if self._cluster:
            await self._still_ours()
        places = [key for key in keys if key.startswith(self._bindings)]
        queues = {_aor(key, self._messages) for key in keys if key.startswith(self._messages)}
        found = await asyncio.gather(*map(self._expire, places), *map(self._sweep, queues))
        if -1 in found:
            await self._still_ours()

    async def _still_ours(self) -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._store.submit_script(_FENCE, self._key, (self._fence.number,), settle(answer))
        known = await answer
        if known != self._fence.number:
            raise Outdone(known)

    async def _expire(self, key: bytes) -> int:
        """-1 where another collector has been elected."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        arguments = (self._fence.key, self._fence.number, self._keep)
        self._store.submit_script(_EXPIRED, key, arguments, settle(answer))
        gone = await answer
        if gone == -1:
            return -1
        self.tally.users += 1
        aor, now_ms = _aor(key, self._bindings), self._locations.now_ms()
        for index in range(0, len(gone), 2):
            self.tally.bindings += 1
            binding = decode(gone[index], gone[index + 1])
            if binding is not None:
                late = max(0.0, (now_ms - binding.message_expires_at) / 1000)
                self._emit(BindingExpired(aor, binding.key, binding.user_agent, binding.registered_at, late))
        return 0

    async def _sweep(self, aor: str) -> int:
        if self._queues is None:
            return 0
        swept = await self._queues.sweep(aor, self._fence, MESSAGES_AT_ONCE)
        if swept is None:
            return -1
        self.tally.pending += swept.pending
        for one in swept.expired:
            self.tally.messages += 1
            self._emit(_expired(one, self._locations.now_ms()))
        if swept.waiting and not swept.claimed:
            try:
                record = await self._locations.lookup(aor)
            except StoreUnavailable:
                return 0
            if record.bindings:
                self._waiting(aor)
        return 0


def _expired(one: Expired, now_ms: int) -> MessageExpired:
    waited = max(0.0, (now_ms - one.stored_at) / 1000)
    return MessageExpired(one.id, one.aor, one.sender, one.call_id, one.devices, waited)


def _aor(key: bytes, prefix: bytes) -> str:
    return key[len(prefix) :].rpartition(b"}")[0].decode(errors="replace")
