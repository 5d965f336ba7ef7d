"""The collector of one node: it stands for election, and sweeps while it leads.

What it removes has expired by the store's own clock, one script at a time: killed in the middle, it leaves
nothing half done, and who is elected next begins anew. It stops between two steps when its lease may have
ended; should it have been frozen within a step, the fence in Redis refuses what it still sends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from cluster.collect.events import CollectorElected, CollectorResigned, SweepFailed
from cluster.collect.settings import StorageSettings
from cluster.collect.sweep import Outdone, Queues, Sweep
from cluster.collect.tally import Tally
from cluster.election.election import Election
from cluster.election.term import Term
from cluster.ending import end
from cluster.errors import StoreUnavailable
from cluster.events import Emit, silent
from cluster.location.service import LocationService
from cluster.membership import Members
from cluster.redis.address import options_of, parse_url
from cluster.settings import RedisSettings

_FIRST = 1.0  # s between an election and the first sweep
_AGAIN = 5.0  # s until a sweep begins anew that could not be finished


class Collector:
    """One for each node. Make it in the running loop; nothing here raises."""

    def __init__(
        self,
        settings: StorageSettings,
        redis: RedisSettings,
        locations: LocationService,
        members: Members,
        queues: Queues | None,
        emit: Emit = silent,
        name: str = "clarion",
        *,
        keep: bool = False,
        waiting: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`queues` is the store of messages, None where none are kept. For the rest see `Sweep`."""
        self._settings = settings
        self._prefix = redis.prefix
        self._options = options_of(redis, parse_url(redis.url), f"clarion-{name}")
        self._locations = locations
        self._queues = queues
        self._emit = emit
        self._keep = keep
        self._waiting = waiting
        self._election = Election(
            members.gateway,
            members.etcd_prefix,
            "collect",
            1,
            name,
            settings.lease_ttl,
            self._elected,
            self._over,
            lambda: locations.connected,
        )
        self._work: asyncio.Task[None] | None = None
        self._running = False
        self._trouble = ""  # why the last sweep was not finished
        self._last: Tally | None = None
        self._last_at = 0.0

    async def start(self) -> None:
        """Stand for election, if this node is to collect at all."""
        if self._settings.collect:
            self._running = True
            self._election.start()

    async def drain(self) -> None:
        """Leave collecting to the others."""
        if self._running:
            await self._election.drain()

    async def close(self) -> None:
        """End. Call it before the location service is closed."""
        if self._running:
            self._running = False
            await self._election.close()
        await end(self._work)

    def status(self) -> dict[str, Any]:
        """The leader ("" for none), this node's last whole sweep (None where it made none), and why the one
        after it could not be finished ("" where it could)."""
        holder = self._election.holders.get(0)
        last = None
        if self._last is not None:
            last = msgspec.structs.asdict(self._last) | {"ended_at": round(self._last_at, 3)}
        return {"leader": holder.node if holder is not None else "", "last": last, "trouble": self._trouble}

    # -- from the election

    def _elected(self, terms: list[Term]) -> None:
        term = terms[0]
        self._emit(CollectorElected(term.fence))
        self._work = asyncio.get_running_loop().create_task(self._lead(term))

    def _over(self, terms: list[Term], reason: str) -> Awaitable[None]:
        for term in terms:
            term.ended = True
        self._emit(CollectorResigned(reason))
        work, self._work = self._work, None
        return asyncio.ensure_future(end(work))

    # -- leading

    async def _lead(self, term: Term) -> None:
        pause = min(_FIRST, self._settings.sweep)
        while True:
            await asyncio.sleep(pause)
            pause = self._settings.sweep if await self._sweep(term) else min(_AGAIN, self._settings.sweep)

    async def _sweep(self, term: Term) -> bool:
        sweep = Sweep(
            self._locations,
            self._queues,
            self._options,
            self._prefix,
            term.fence,
            self._settings.step,
            self._keep,
            lambda: term.sure,
            self._emit,
            self._waiting,
        )
        try:
            if await sweep.run():
                self._last, self._last_at, self._trouble = sweep.tally, time.time(), ""
                return True
        except StoreUnavailable as error:
            self._failed(error.reason)
        except Outdone as outdone:
            self._election.outdone(term, outdone.fence)
        except Exception as error:  # whatever it is, this node leads, and has to try again
            self._failed(f"{type(error).__name__}: {error}")
        return False

    def _failed(self, reason: str) -> None:
        """Told once for each reason: the next attempt follows soon."""
        if reason != self._trouble:
            self._trouble = reason
            self._emit(SweepFailed(reason))
