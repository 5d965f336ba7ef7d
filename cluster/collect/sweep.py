"""One walk through all keys: SCAN by SCAN on each master, what a SCAN brings is a step.

A step asks about its keys with one small script each, few together, and is followed by a pause four times
as long as it took: a sweep takes a fifth of the node's time at most, and Redis never waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from cluster.collect.events import BindingExpired
from cluster.collect.fence import Fence
from cluster.collect.scripts import EXPIRED, FENCE
from cluster.collect.tally import Tally
from cluster.collect.walk import Walk, of_one_key, walking
from cluster.errors import StoreRefused
from cluster.events import Emit
from cluster.location.binding import decode
from cluster.location.record import Record
from cluster.location.service import LocationService
from cluster.messages.events import MessageExpired
from cluster.messages.pending import ANYBODY, Swept
from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import settle
from cluster.redis.link import Command
from cluster.redis.topology import Cluster

SHARE = 4  # a pause is so many times as long as the step before it
SCRIPTS_AT_ONCE = 16  # Redis may run these one after the other before it serves anybody else
MESSAGES_AT_ONCE = 50  # that one script looks at


class Outdone(Exception):
    """Another collector has been elected since; `fence` is its number."""

    def __init__(self, fence: int) -> None:
        super().__init__(f"Redis knows of a later collector (fence {fence})")
        self.fence = fence


class Queues(Protocol):
    """What a sweep needs of the store of messages."""

    async def sweep(self, aor: str, fence: Fence, count: int) -> Swept | None: ...
    def correct(self, counted: int) -> None: ...


class Sweep:
    """One walk. It ends before its time where `sure()` is false: this node may be leader no more."""

    def __init__(
        self,
        locations: LocationService,
        queues: Queues | None,
        options: ConnectionOptions,
        prefix: str,
        fence: int,
        step: int,
        keep: bool,
        sure: Callable[[], bool],
        emit: Emit,
        waiting: Callable[[str], None],
    ) -> None:
        """`options` are for its own connections. `keep`: users without bindings are remembered.
        `waiting(aor)` is told of messages that nobody delivers to a device that is registered."""
        self._locations = locations
        self._store = locations.store
        self._queues = queues
        self._options = options
        self._bindings = f"{prefix}:aor:{{".encode()
        self._messages = f"{prefix}:messages:{{".encode()
        self._key = f"{prefix}:collect:fence".encode()
        self._cluster = isinstance(self._store.topology, Cluster)
        self._fence = Fence(b"" if self._cluster else self._key, fence)
        self._pattern = b"%b:*:{*" % _literal(prefix.encode())
        self._step = step
        self._arguments = (self._fence.key, fence, b"1" if keep else b"0")
        self._sure = sure
        self._emit = emit
        self._waiting = waiting
        self._began = 0.0
        self.tally = Tally()

    async def run(self) -> bool:
        """True when it saw everything. Raises StoreUnavailable and Outdone."""
        self._began = asyncio.get_running_loop().time()
        for master in self._store.topology.connections:
            async with walking(master, self._options, EXPIRED) as walk:
                if not await self._through(walk):
                    return False
        if self._queues is not None:
            self._queues.correct(self.tally.pending)
        return True

    async def _through(self, walk: Walk) -> bool:
        clock = asyncio.get_running_loop().time
        started = clock()
        async with contextlib.aclosing(walk.steps(self._pattern, self._step)) as steps:
            async for keys in steps:
                if not await self._look(walk, keys):
                    return False
                self.tally.seconds = clock() - self._began
                await asyncio.sleep(SHARE * (clock() - started))
                started = clock()
        return True

    async def _look(self, walk: Walk, keys: list[bytes]) -> bool:
        """False where this node may be leader no more: it is asked before each script that removes."""
        if not self._sure():
            return False
        self.tally.keys += len(keys)
        if self._cluster and keys:
            await self._still_ours()
        places = [key for key in keys if key.startswith(self._bindings)]
        for start in range(0, len(places), SCRIPTS_AT_ONCE):
            if not self._sure():
                return False
            await self._expire(walk, places[start : start + SCRIPTS_AT_ONCE])
        if self._queues is not None:
            for key in await self._queues_of(walk, keys):
                if not self._sure():
                    return False
                await self._sweep(key, self._queues)
        return True

    async def _still_ours(self) -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._store.submit_script(FENCE, self._key, (self._fence.number,), settle(answer))
        known = await answer
        if known != self._fence.number:
            raise Outdone(known)

    # -- bindings

    async def _expire(self, walk: Walk, places: list[bytes]) -> None:
        commands: list[Command] = [EXPIRED.call(key, self._arguments) for key in places]
        for key, gone in zip(places, await walk.ask(commands), strict=True):
            if isinstance(gone, StoreRefused):
                self.tally.refuse(key, gone)
            elif gone == -1:
                await self._still_ours()
            else:
                self.tally.users += 1
                self._tell(_aor(key, self._bindings), gone)

    def _tell(self, aor: str, gone: list[bytes]) -> None:
        for index in range(0, len(gone), 2):
            self.tally.bindings += 1
            binding = decode(gone[index], gone[index + 1])
            if binding is not None:
                late = max(0.0, (self._locations.now_ms() - binding.message_expires_at) / 1000)
                self._emit(BindingExpired(aor, binding.key, binding.user_agent, binding.registered_at, late))

    # -- messages

    async def _queues_of(self, walk: Walk, keys: list[bytes]) -> list[bytes]:
        """A queue has two keys, which SCAN may bring in different steps: it is swept, and counted, when its
        order comes; a hash is, too, where it has no order any more."""
        ours = [key for key in keys if key.startswith(self._messages)]
        orders = [key for key in ours if key.endswith(b"}:order")]
        hashes = [key for key in ours if key.endswith(b"}")]
        asked: list[Command] = [("EXISTS", key + b":order") for key in hashes]
        there = await walk.ask(asked)
        return orders + [key for key, found in zip(hashes, there, strict=True) if found == 0]

    async def _sweep(self, key: bytes, queues: Queues) -> None:
        aor = _aor(key, self._messages)
        try:
            swept = await queues.sweep(aor, self._fence, MESSAGES_AT_ONCE)
            if swept is None:
                await self._still_ours()
                return
            self._count(swept)
            if swept.waiting and not swept.claimed and _wanted(await self._locations.lookup(aor)):
                self._waiting(aor)
        except StoreRefused as error:
            if not of_one_key(error):
                raise
            self.tally.refuse(key, error)

    def _count(self, swept: Swept) -> None:
        self.tally.pending += swept.pending
        for one in swept.expired:
            self.tally.messages += 1
            waited = max(0.0, (self._locations.now_ms() - one.stored_at) / 1000)
            self._emit(MessageExpired(one.id, one.aor, one.sender, one.call_id, one.devices, waited))


def _wanted(record: Record) -> bool:
    """Whether a device is registered that is owed something: one that the queue does not know is owed all;
    one that is never known again, only what anybody may have."""
    owed = record.messages
    return any(
        owed.get(binding.instance or binding.key, True)
        if binding.instance or binding.prid
        else owed.get(ANYBODY, False)
        for binding in record.bindings
    )


def _aor(key: bytes, prefix: bytes) -> str:
    return key[len(prefix) :].rpartition(b"}")[0].decode(errors="surrogateescape")


def _literal(text: bytes) -> bytes:
    """As a pattern that fits nothing else."""
    return b"".join(b"\\" + bytes([c]) if c in b"*?[]\\" else bytes([c]) for c in text)
