"""The drains of one node: who is looked at, when, and what they share.

A look may come at any time and for any reason (a registration, a message that was just stored, a sweep of
the collector, an operator): it reads what is registered, from the cache where that is known to be true, and
shows it to the drain of that address of record. Those that wait (for a device to recover, for another node's
claim to end) are bounded: the longest waiting gives way, and the next registration or sweep finds it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from cluster.errors import StoreUnavailable
from cluster.messages.events import MessageDelivered, MessageRefused
from node.messages.drain import HELD, IDLE, Drain
from node.messages.marks import LINGER, Marks
from node.messages.reach import Reach, follow, reach_of
from node.transaction.timers import Countdown

if TYPE_CHECKING:
    from cluster.events import Event
    from cluster.location.binding import Binding
    from cluster.location.record import Record
    from cluster.messages.pending import Owed
    from cluster.messages.settings import MessagesSettings
    from node.fork.branch import Branch
    from node.fork.target import Target
    from node.messages.kept import Messages
    from node.messages.under_way import UnderWay
    from node.resolve.locator import Destination
    from node.transaction.timers import Timers

MOST = 10_000  # addresses of record
GRAIN = 0.25  # seconds between two looks at those that wait


class Locations(Protocol):
    """What is needed of the location service."""

    def cached(self, aor: str) -> Record | None: ...
    async def fetch(self, aor: str) -> Record: ...
    def now_ms(self) -> int: ...


class Drains:
    """Finds the drain of an address of record, and wakes it."""

    def __init__(
        self,
        store: Messages,
        locations: Locations,
        target: Callable[[Binding], Target],
        gone: Callable[[Target], bool],
        ask: Callable[[Branch, float], None],
        avoid: Callable[[Destination], None],
        timers: Timers,
        clock: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        under_way: UnderWay,
        emit: Callable[[Event], None],
        settings: MessagesSettings,
    ) -> None:
        """`target(binding)` says how a binding is reached, `gone(target)` that it is known not to be; `ask`
        and `avoid` are those of a `Copy`. `clock` is the loop's time."""
        self.store = store
        self.target = target
        self.gone = gone
        self.ask = ask
        self.avoid = avoid
        self.clock = clock
        self.now_ms = locations.now_ms
        self.under_way = under_way
        self.marks = Marks(store)
        self.retry = settings.retry
        self.claim_time = settings.claim
        self.extends = Countdown(timers, settings.claim / 3)
        self.closing = False
        self.lost = self.delivered = self.refused = self.gave_way = 0
        self._locations = locations
        self._timers = timers
        self._spawn = spawn
        self._emit = emit
        self._drains: dict[str, Drain] = {}
        self._parked: dict[Drain, float] = {}  # in the order in which they began to wait
        self._due: list[tuple[float, int, Drain]] = []
        self._count = 0
        self._ticking = False
        self._reading: dict[str, bool] = {}  # whether to read once more
        self._empty: asyncio.Future[None] | None = None

    # -- from outside

    def look(self, aor: str, now: float, record: Record | None = None) -> None:
        """There may be something to hand out: a `record` that is known to be true saves reading it."""
        if self.closing:
            return
        if record is None:
            record = self._locations.cached(aor)
        if record is None:
            self._read(aor)
        else:
            self._show(aor, record, now)

    def registered(self, aor: str, record: Record, devices: Sequence[str], now: float) -> None:
        """These devices have just registered here, with this result: copies on their way follow them, and
        what they are owed is handed out."""
        if self.closing:
            return
        reach = reach_of(record, self.now_ms(), self.target, self.gone)
        self._follow(aor, record, reach, devices, now)
        if record.messages or aor in self._drains:
            self._show(aor, record, now, reach, devices)

    def concerns(self, aor: str) -> bool:
        """Whether a registration matters although nothing is stored: a copy is on its way."""
        return bool(self.under_way.open(aor))

    @property
    def idle(self) -> bool:
        """True when nothing is being handed out."""
        return len(self._parked) == len(self._drains)

    def status(self) -> dict[str, int]:
        """Counts, for operators."""
        return {
            "drains": len(self._drains),
            "held": sum(drain.state == HELD for drain in self._drains.values()),
            "waiting": len(self._parked),
            "copies": len(self.under_way),
            "unconfirmed": len(self.marks),
            "delivered": self.delivered,
            "refused": self.refused,
            "lost_claims": self.lost,
            "gave_way": self.gave_way,
        }

    async def drain(self, patience: float = 2.0) -> None:
        """Hands out nothing new; returns when all claims are released. Copies on their way have `patience`
        seconds to end, then their messages are another node's to send again."""
        self.closing = True
        for at_once in (False, True):
            for drain in tuple(self._drains.values()):
                drain.let_go(self.clock(), at_once)
            if not self._drains:
                return
            self._empty = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(1.0 if at_once else patience):
                    await self._empty
            except TimeoutError:
                continue
            return

    # -- from the drains

    def told(self, owed: Owed, status: int) -> None:
        """The last word of a device about a message."""
        pending = owed.pending
        if 200 <= status < 300:
            self.delivered += 1
            waited = (self.now_ms() - pending.stored_at) / 1000
            self._emit(MessageDelivered(pending.id, pending.aor, owed.device, pending.call_id, waited))
        else:
            self.refused += 1
            self._emit(MessageRefused(pending.id, pending.aor, owed.device, pending.call_id, status))

    def flush_soon(self, aor: str, now: float) -> None:
        """What was collected for it is told when its time is over, if not before."""
        self._timers.after(LINGER, now, partial(self._flush, aor))

    def _flush(self, aor: str, now: float) -> None:
        self.marks.flush(aor)

    def look_at(self, drain: Drain, now: float) -> None:
        """It has to know what is registered now."""
        if self.closing:
            self.over(drain)
        else:
            self.look(drain.aor, now)

    def refresh(self, drain: Drain, now: float) -> None:
        """It has worked for a while: a device may have registered at another node."""
        record = self._locations.cached(drain.aor)
        if record is None:
            self._read(drain.aor)
        elif record is not drain.record:
            self._show(drain.aor, record, now)

    def park(self, drain: Drain, due: float) -> None:
        """Looked at again at `due`, or when there is a reason."""
        self._parked.pop(drain, None)
        self._parked[drain] = due
        self._count += 1
        heapq.heappush(self._due, (due, self._count, drain))
        if len(self._due) > 2 * len(self._parked) + 64:
            self._due = [entry for entry in self._due if self._parked.get(entry[2]) == entry[0]]
            heapq.heapify(self._due)
        if not self._ticking:
            self._ticking = True
            self._timers.after(GRAIN, self.clock(), self._tick)

    def unpark(self, drain: Drain) -> None:
        """It works again."""
        self._parked.pop(drain, None)

    def over(self, drain: Drain) -> None:
        """Nothing is left to be done for it here, as far as this node knows."""
        self._parked.pop(drain, None)
        if self._drains.get(drain.aor) is drain:
            del self._drains[drain.aor]
        if not self._drains and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    # -- looking

    def _read(self, aor: str) -> None:
        if aor in self._reading:
            self._reading[aor] = True  # what is being read may be older than the reason for this look
            return
        if len(self._reading) >= MOST:
            self.gave_way += 1
            return
        self._reading[aor] = False
        self._spawn(self._fetch(aor))

    async def _fetch(self, aor: str) -> None:
        record: Record | None = None
        try:
            while True:
                record = await self._locations.fetch(aor)
                if not self._reading[aor]:
                    break
                self._reading[aor] = False
        except StoreUnavailable:
            pass
        finally:
            del self._reading[aor]
        now = self.clock()
        if self.closing:
            return
        if record is not None:
            self._show(aor, record, now)
            return
        drain = self._drains.get(aor) or self._new(aor)
        if drain is not None and drain.state == IDLE:
            self.park(drain, now + self.claim_time)

    def _show(
        self,
        aor: str,
        record: Record,
        now: float,
        reach: dict[str, Reach] | None = None,
        registered: Sequence[str] = (),
    ) -> None:
        drain = self._drains.get(aor)
        if drain is None and (not record.messages or not record.bindings):
            return
        if reach is None:
            reach = reach_of(record, self.now_ms(), self.target, self.gone)
            self._follow(aor, record, reach, None, now)
        if drain is None:
            if not reach:
                return
            drain = self._new(aor)
            if drain is None:
                return
        drain.seen(record, reach, now, registered)

    def _new(self, aor: str) -> Drain | None:
        if len(self._drains) >= MOST:
            self.gave_way += 1
            eldest = next(iter(self._parked), None)
            if eldest is None:
                return None
            self.over(eldest)
        drain = self._drains[aor] = Drain(aor, self)
        return drain

    def _follow(
        self, aor: str, record: Record, reach: dict[str, Reach], devices: Sequence[str] | None, now: float
    ) -> None:
        """Copies stay with their phones. To another flow they go by the drain alone, under its claim: another
        node may have delivered there what is still on its way here."""
        for copy in self.under_way.open(aor):
            if copy.device in reach and (devices is None or copy.device in devices):
                follow(copy, record, self.target)

    def _tick(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            due, _, drain = heapq.heappop(self._due)
            if self._parked.get(drain) == due:
                del self._parked[drain]
                self.look_at(drain, now)
        self._ticking = bool(self._due)
        if self._ticking:
            self._timers.after(GRAIN, now, self._tick)
