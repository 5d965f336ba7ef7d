"""The location service: bindings in Redis for all nodes, read through a local cache.

Every reply is taken in a callback, in the order of the stream, because that keeps the cache honest
(see cache.py); callers await a future that the callback fulfils, or give a callback of their own.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.events import Emit, StoreBack, StoreLost, TrackingUnavailable, silent
from cluster.location import listing
from cluster.location.binding import VERSION, Binding, decode, encode_tail, line, stamped
from cluster.location.cache import RecordCache
from cluster.location.publications import Heard, Publications
from cluster.location.record import Change, Outcome, Record, make_record, marked
from cluster.redis.address import options_of, parse_url
from cluster.redis.clock import StoreClock
from cluster.redis.connection import Connection, settle
from cluster.redis.fence import ReplicaFence
from cluster.redis.link import Done, Word
from cluster.redis.script import Script
from cluster.redis.store import Store
from cluster.redis.topology import Callbacks, make_topology
from cluster.settings import RedisSettings

__all__ = ["Binding", "Change", "Heard", "LocationService", "Outcome", "Record"]

_REGISTER = Script.read(Path(__file__).with_name("register.lua"))
_REFUSED = ("", "cseq", "contacts")
_LIMIT = 1.9  # s that a REGISTER may take with the confirmation of replicas


class _Flight:
    """One read under way, and all who wait for it."""

    __slots__ = ("cacheable", "waiting")

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Record]] = []
        self.cacheable = True


class LocationService:
    """Which bindings an address of record has. One per node; make it inside the running loop."""

    def __init__(
        self, settings: RedisSettings, emit: Emit = silent, name: str = "clarion", keep: float = 0.0
    ) -> None:
        """`name` is how `CLIENT LIST` shows this node. `keep`: seconds that what is known of a user outlives
        the last binding, so that the user is known and expiries can be told. Raises BadAddress."""
        self._settings = settings
        self._keep_ms = int(1000 * keep)
        self._emit = emit
        self._prefix = f"{settings.prefix}:aor:".encode()
        self._cache = RecordCache(settings.cache_records)
        self._caching = settings.cache_records > 0
        self._flights: dict[str, _Flight] = {}
        self._fences: dict[Connection, ReplicaFence] = {}
        self._confirming: set[asyncio.Task[None]] = set()
        self._clock = StoreClock()
        self._lost = False
        address = parse_url(settings.url)
        self._options = options_of(settings, address, name)
        tracking = ("CLIENT", "TRACKING", "ON", "NOLOOP")
        load = ("SCRIPT", "LOAD", _REGISTER.text)
        hear = Callbacks(
            greeting=(tracking, load) if self._caching else (load,),
            on_push=self._pushed,
            on_up=self._went_up,
            on_down=self._went_down,
            on_change=self._moved,
            clock=self._clock,
        )
        self._topology = make_topology(address, settings, self._options, hear)
        self._store = Store(self._topology)
        self._publications = Publications(self._options, settings.prefix, self._outdated)

    async def start(self, patience: float | None = None) -> None:
        """Connect; returns when connected, or after `patience` s (the timeout) to go on in the background."""
        self._topology.start()
        self._publications.follow(self._topology.connections)
        patience = self._settings.timeout if patience is None else patience
        deadline = asyncio.get_running_loop().time() + patience
        while not self.connected and (left := deadline - asyncio.get_running_loop().time()) > 0:
            for connection in self._topology.connections:
                await connection.ready(min(left, 0.05))

    async def close(self) -> None:
        self._lost = True  # whose end is meant, needs no report
        await self._publications.close()
        for fence in self._fences.values():
            await fence.close()
        await self._topology.close()

    @property
    def connected(self) -> bool:
        """Whether every master is connected."""
        return self._topology.connected

    @property
    def cache(self) -> RecordCache:
        """For counts: len(), hits, misses."""
        return self._cache

    @property
    def store(self) -> Store:
        """The commands below: for other rooms of this floor that keep things in the same Redis."""
        return self._store

    def now_ms(self) -> int:
        """The store's clock as known here, ms since 1970."""
        return self._clock.now_ms()

    def cached(self, aor: str) -> Record | None:
        """The record if the cache holds it; an empty record is a known absence; None: fetch it."""
        return self._cache.get(aor, self._clock.now_ms())

    def last_known(self, aor: str) -> Record | None:
        """While Redis is away: what was cached when it went, without what has expired since."""
        return self._cache.last_known(aor, self._clock.now_ms())

    async def lookup(self, aor: str) -> Record:
        """Cached, else fetched, else (Redis away) last known. Raises StoreUnavailable if nothing is known."""
        record = self.cached(aor)
        if record is not None:
            return record
        try:
            return await self.fetch(aor)
        except StoreUnavailable:
            record = self.last_known(aor)
            if record is None:
                raise
            return record

    async def fetch(self, aor: str) -> Record:
        """Read from Redis; concurrent callers share one read. Raises StoreUnavailable in the timeout."""
        answer: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        flight = self._flights.get(aor)
        if flight is not None:
            flight.waiting.append(answer)
        else:
            flight = self._flights[aor] = _Flight()
            flight.waiting.append(answer)
            key = self._key(aor)
            self._store.submit(key, ("HGETALL", key), functools.partial(self._fetched, aor, flight))
        return await answer

    async def register(
        self,
        aor: str,
        changes: Sequence[Change],
        *,
        max_contacts: int,
        call_id: str,
        cseq: int,
        wildcard: bool = False,
    ) -> Outcome:
        """One REGISTER, atomically (RFC 3261 10.3): all of its changes are made, or none.

        Raises StoreUnavailable (503) within 2 s; whether it was written is unknown then.
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.submit_register(
            aor,
            changes,
            settle(answer),
            max_contacts=max_contacts,
            call_id=call_id,
            cseq=cseq,
            wildcard=wildcard,
        )
        return await answer

    def submit_register(
        self,
        aor: str,
        changes: Sequence[Change],
        done: Done,
        *,
        max_contacts: int,
        call_id: str,
        cseq: int,
        wildcard: bool = False,
    ) -> None:
        """The same without a Task: `done` gets the Outcome or the StoreUnavailable. It must not raise."""
        arguments: list[Word] = [
            self._publications.channel(aor), max_contacts, b"1" if wildcard else b"0", line(call_id), cseq,
            self._keep_ms,
        ]  # fmt: skip
        for change in changes:
            b = change.binding
            arguments += (b.key, change.ttl_ms, change.message_ttl_ms, line(b.prid), VERSION, encode_tail(b))
        key = self._key(aor)
        if self._settings.replicas:
            deadline = asyncio.get_running_loop().time() + _LIMIT
            done = functools.partial(self._confirm, aor, key, deadline, done)
        told = functools.partial(self._registered, aor, changes, call_id, cseq, done)
        self._store.submit_script(_REGISTER, key, (*arguments,), told)

    def subscribe(self, aor: str, heard: Heard) -> None:
        """Call `heard(aor, keys)` at every registration of `aor` at any node, and with no keys once it is
        sure that none will be missed from now on, and after each gap: read the record then.

        Raises StoreUnavailable when too many are waited for already.
        """
        self._publications.add(aor, heard)

    def unsubscribe(self, aor: str, heard: Heard) -> None:
        self._publications.remove(aor, heard)

    async def shared_secret(self, name: str) -> bytes:
        """32 random bytes that all nodes share under that name; made by the first who asks."""
        key = f"{self._settings.prefix}:secret:{name}".encode()
        await self._store.call(key, "SET", key, os.urandom(32), "NX")
        secret: bytes = await self._store.call(key, "GET", key)
        return secret

    def scan(self, match: str = "*", limit: int = 1000) -> AsyncIterator[Record]:
        """Records whose address of record fits a glob pattern, at most `limit`, for operators; by SCAN."""
        return listing.scan(self._topology, self._prefix, match, limit, self.now_ms)

    async def count(self) -> int:
        """About how many addresses of record have bindings. Raises StoreUnavailable. See listing.count."""
        return await listing.count(self._topology, self._prefix)

    # -- replies, in the order of the stream

    def _fetched(self, aor: str, flight: _Flight, reply: Any) -> None:
        if self._flights.get(aor) is flight:
            del self._flights[aor]
        error, record = reply if isinstance(reply, StoreUnavailable) else None, Record(aor)
        if error is None:
            found = (decode(field, value) for field, value in reply.items())
            bindings = [binding for binding in found if binding is not None]
            messages = marked(reply.get(b":messages"))
            record = make_record(aor, bindings, self._clock.now_ms(), bool(reply), messages)
            if self._caching and flight.cacheable:
                self._cache.put(record)
        for answer in flight.waiting:
            if answer.done():
                continue
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(record)

    def _registered(
        self, aor: str, changes: Sequence[Change], call_id: str, cseq: int, done: Done, reply: Any
    ) -> None:
        if isinstance(reply, StoreUnavailable):
            self._cache.drop(aor)
            done(reply)
            return
        if type(reply) is int:  # the usual case: the binding of the request is the only one
            status, now, others, evicted, marker = 0, reply, (), (), b""
        else:
            status, now, others, evicted, marker = reply
        bindings = {}
        for index in range(0, len(others), 2):
            binding = decode(others[index], others[index + 1])
            if binding is not None:
                bindings[binding.key] = binding
        if not status:
            for change in changes:
                if change.ttl_ms:
                    bindings[change.binding.key] = stamped(
                        change.binding, now, change.ttl_ms, change.message_ttl_ms, call_id, cseq
                    )
        record = make_record(aor, bindings.values(), now, True, marked(marker))
        if self._caching:
            self._cache.put(record)
        gone = tuple(key.decode() for key in evicted) if evicted else ()
        done(Outcome(record, _REFUSED[status], gone))

    def _pushed(self, message: list[Any]) -> None:
        """["invalidate", keys] or, when everything was flushed, ["invalidate", None]."""
        if message[0] != b"invalidate":
            return
        if message[1] is None:
            self._cache.clear()
            return
        start = len(self._prefix) + 1
        for key in message[1]:
            if key.startswith(self._prefix):
                self._cache.drop(key[start:-1].decode(errors="replace"))

    def _outdated(self, aor: str) -> None:
        """A publication travels beside the stream of notices and may overtake it: read again."""
        self._cache.drop(aor)
        flight = self._flights.pop(aor, None)
        if flight is not None:
            flight.cacheable = False

    # -- connections

    def _went_up(self, connection: Connection) -> None:
        host, port = connection.address
        if "CLIENT" in connection.refusals:
            self._caching = False
            self._emit(TrackingUnavailable(f"{host}:{port}", connection.refusals["CLIENT"]))
        self._publications.follow(self._topology.connections)
        if self.connected:
            self._cache.connected()
            if self._lost:
                self._lost = False
                self._emit(StoreBack(f"{host}:{port}"))

    def _went_down(self, connection: Connection, reason: str) -> None:
        self._cache.disconnected()
        if not self._lost:
            self._lost = True
            host, port = connection.address
            self._emit(StoreLost(f"{host}:{port}", reason))

    def _moved(self) -> None:
        """Keys have other masters: neither the cache nor what is being read can be trusted."""
        self._publications.follow(self._topology.connections)
        self._cache.clear()
        for flight in self._flights.values():
            flight.cacheable = False

    def _confirm(self, aor: str, key: bytes, deadline: float, done: Done, outcome: Any) -> None:
        """`[redis] replicas`: who registered is told when they have it."""
        if isinstance(outcome, StoreUnavailable) or outcome.refused:
            done(outcome)
            return
        task = asyncio.get_running_loop().create_task(self._confirmed(aor, key, deadline, done, outcome))
        self._confirming.add(task)
        task.add_done_callback(self._confirming.discard)

    async def _confirmed(self, aor: str, key: bytes, deadline: float, done: Done, outcome: Outcome) -> None:
        connection = self._topology.route(key)
        fence = self._fences.get(connection)
        if fence is None:
            fence = self._fences[connection] = ReplicaFence(
                connection, self._options, self._settings.replicas
            )
            fence.start()
        told: Outcome | StoreUnavailable = outcome
        try:
            async with asyncio.timeout_at(deadline):
                await fence.passed(f"{self._settings.prefix}:fence:{{{aor}}}".encode())
        except TimeoutError:
            told = StoreUnavailable("the replicas did not confirm the registration in time")
        except StoreUnavailable as error:
            told = error
        done(told)

    def _key(self, aor: str) -> bytes:
        return b"%b{%b}" % (self._prefix, aor.encode())
