"""The store of pending messages of one node: what the floors above see of this room.

Callbacks are called in the order of the stream, never before the reply, but at once where Redis is away.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cluster.collect.fence import Fence
from cluster.errors import StoreUnavailable
from cluster.events import Emit, silent
from cluster.location.service import LocationService
from cluster.messages import listing
from cluster.messages.claims import Claims
from cluster.messages.confirms import Confirms
from cluster.messages.events import FsyncUnavailable, MessageStored
from cluster.messages.listing import Row
from cluster.messages.pending import Claimed, Expired, Mark, Pending, Seeker, Stored, Swept
from cluster.messages.queue import BEGIN, Queue
from cluster.messages.record import expired
from cluster.messages.settings import MessagesSettings
from cluster.messages.total import Total
from cluster.redis.address import options_of, parse_url
from cluster.redis.connection import Connection, settle
from cluster.redis.fences import Fences
from cluster.redis.link import Done
from cluster.settings import RedisSettings

_TICK = 0.1  # s between two looks whether a server is new
_REFUSED = {2: "full"}

__all__ = ["Messages", "Row"]


class Messages:
    """One for each node. Make it in the running loop; nothing here raises, unless it says so."""

    def __init__(
        self,
        settings: MessagesSettings,
        redis: RedisSettings,
        locations: LocationService,
        emit: Emit = silent,
        name: str = "clarion",
    ) -> None:
        """`name` is the name of the node: a claim of its own does not keep it out."""
        self._settings = settings
        self._locations = locations
        self._emit = emit
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._store = locations.store
        self._queue = Queue(self._store, redis.prefix, settings.max_per_user)
        self._total = Total(self._store, redis.prefix)
        self._confirms = Confirms(self._queue, self._left)
        self._claim_ms = round(settings.claim * 1000)
        self._claims = Claims(self._queue, self._confirms, name, self._claim_ms, self._locations.cache.drop)
        own = settings.replicas >= 0
        self._fences = Fences(
            self._store.topology,
            options_of(redis, parse_url(redis.url), f"clarion-{name}"),
            settings.replicas if own else redis.replicas,
            fsync=settings.fsync,
            not_able=self._not_able,
            option="[messages] replicas" if own else "[redis] replicas",
        )
        self._fence_prefix = f"{redis.prefix}:fence:"
        self._unable: set[str] = set()
        self._loaded: set[Connection] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Begin to count, and to give new servers the scripts; everything works before, too."""
        self._total.start()
        self._tick()

    async def close(self) -> None:
        """Call it before the location service is closed."""
        if self._timer is not None:
            self._timer.cancel()
        await self._fences.close()
        self._confirms.close()
        self._total.close()

    @property
    def total(self) -> int:
        """Messages in all queues, about a second old."""
        return self._total.value

    def now_ms(self) -> int:
        """The store's clock, ms since 1970."""
        return self._locations.now_ms()

    # -- storing and delivering

    def store(
        self,
        pending: Pending,
        owed: Sequence[str],
        closed: Sequence[str],
        done: Callable[[Stored | StoreUnavailable], None],
    ) -> None:
        """Keep a message that the devices `owed` are owed and `closed` have (or refused). With ANYBODY in
        `closed`, it is for these devices only: no other will be given it. Told when it is kept as surely as
        configured. The same id twice is kept once. Not kept after all where a StoreUnavailable is told? It
        may be: whoever sent it is told 503 and sends it again."""
        owed = [device for device in dict.fromkeys(owed) if device not in closed]
        if not owed:
            done(Stored())
        elif self._total.value >= self._settings.max_total:
            done(Stored("total"))
        else:
            told = functools.partial(self._stored, pending, tuple(owed), done)
            self._queue.store(pending, owed, tuple(dict.fromkeys(closed)), told)

    def claim(
        self,
        aor: str,
        seekers: Sequence[Seeker],
        count: int,
        done: Callable[[Claimed | StoreUnavailable], None],
        fence: int = 0,
    ) -> None:
        """The right to deliver what `aor` is owed, with the first `count` messages of each device. With a
        `fence`, that claim is kept for longer and more is taken; a Claimed with fence 0: it is lost."""
        self._claims.claim(aor, seekers, count, done, fence)

    def extend(self, aor: str, fence: int, done: Callable[[bool | StoreUnavailable], None]) -> None:
        """False: it is lost (or the queue has emptied)."""
        self._queue.extend(aor, self._name, self._claim_ms, fence, _as_bool(done))

    def release(self, aor: str, fence: int, done: Callable[[bool | StoreUnavailable], None]) -> None:
        """True: somebody asked meanwhile, look again."""
        self._confirms.flush(aor)
        self._queue.release(aor, fence, _as_bool(done))

    def confirm(
        self, aor: str, marks: Sequence[Mark], done: Callable[[StoreUnavailable | None], None]
    ) -> None:
        """Devices that are not owed a message any more; a status of 408, 430 or 503 is only noted for
        operators. Tried for 10 s; then the message is delivered again some time."""
        self._confirms.add(aor, marks, done)

    # -- for operators and for the collector

    async def listed(self, aor: str, limit: int = 10_000) -> list[Row]:
        """What waits, in the order of delivery. Raises StoreUnavailable."""
        return await listing.listed(self._store, self._queue, aor, limit)

    async def users(self, limit: int = 1000) -> list[tuple[str, int]]:
        """Addresses of record that have messages waiting, and how many. Raises StoreUnavailable."""
        return await listing.users(self._store, self._queue, limit)

    async def drop(self, aor: str, identity: str = "") -> int:
        """Take one message out of the queue, or all; how many there were. Raises StoreUnavailable."""
        reply = await self._ask(self._queue.drop, aor, identity)
        self._left(aor, reply >> 1, bool(reply & 1))
        return int(reply >> 1)

    async def sweep(self, aor: str, fence: Fence, count: int) -> Swept | None:
        """Take out what has expired; `count` messages are looked at in one script. None: a greater fence
        is there, and nothing more was done. Raises StoreUnavailable."""
        found: list[Expired] = []
        cursor = BEGIN
        while True:
            reply = await self._ask(self._queue.sweep, aor, fence.key, fence.number, cursor, count)
            if reply == -1:
                return None
            left, changed, pending, claimed, devices, cursor = reply[:6]
            self._left(aor, left, bool(changed))
            for index in range(6, len(reply), 3):
                head, owed = reply[index + 1], _lines(reply[index + 2])
                found.append(expired(aor, reply[index].decode(), head, owed))
            if not cursor:
                waiting = tuple(one[1:] for one in _lines(devices) if one[0] == "+")
                return Swept((*found,), pending, waiting, bool(claimed))

    def correct(self, counted: int) -> None:
        """The collector has counted all messages."""
        self._total.correct(counted)

    # -- replies

    def _stored(
        self,
        pending: Pending,
        owed: tuple[str, ...],
        done: Callable[[Stored | StoreUnavailable], None],
        reply: Any,
    ) -> None:
        if isinstance(reply, StoreUnavailable):
            self._locations.cache.drop(pending.aor)  # perhaps it was done
            done(reply)
            return
        status, changed, *first = reply
        again = status == 1
        if changed:
            self._locations.cache.drop(pending.aor)
        if status in _REFUSED:
            done(Stored(_REFUSED[status]))
            return
        self._total.add(-first[0] if again else 1)
        stored = Stored("", again, () if again else tuple(_text(device) for device in first))
        kept = functools.partial(self._kept, pending, owed, stored, done)
        if self._fences.needed:
            fence_key = f"{self._fence_prefix}{{{pending.aor}}}".encode()
            self._fences.submit(self._queue.key(pending.aor), fence_key, kept)
        else:
            kept(None)

    def _kept(
        self,
        pending: Pending,
        owed: tuple[str, ...],
        stored: Stored,
        done: Callable[[Stored | StoreUnavailable], None],
        error: StoreUnavailable | None,
    ) -> None:
        if error is not None:
            done(error)
            return
        if not stored.again:
            self._emit(
                MessageStored(
                    pending.id, pending.aor, pending.sender, pending.call_id, owed, len(pending.request)
                )
            )
        done(stored)

    def _left(self, aor: str, count: int, changed: bool) -> None:
        self._total.add(-count)
        if changed:
            self._locations.cache.drop(aor)

    def _not_able(self, address: str, answer: str) -> None:
        """Told once for each server."""
        if address not in self._unable:
            self._unable.add(address)
            reason = f"[messages] fsync needs Redis 7.2 or Valkey with `appendonly yes`: {answer}"
            self._emit(FsyncUnavailable(address, reason))

    async def _ask(self, method: Callable[..., None], *arguments: Any) -> Any:
        answer: asyncio.Future[Any] = self._loop.create_future()
        method(*arguments, settle(answer))
        return await answer

    # -- now and then

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_TICK, self._tick)
        self._load(self._store.topology.connections)

    def _load(self, connections: Iterable[Connection]) -> None:
        up = {connection for connection in connections if connection.up}
        for connection in up - self._loaded:
            self._queue.load(connection)
        self._loaded = up


def _as_bool(done: Callable[[bool | StoreUnavailable], None]) -> Done:
    return lambda reply: done(reply if isinstance(reply, StoreUnavailable) else reply == 1)


def _text(word: bytes) -> str:
    return word.decode(errors="surrogateescape")


def _lines(word: bytes) -> tuple[str, ...]:
    return tuple(_text(word).split("\n")) if word else ()
