"""Stored messages as an operator reads them, drops them, and has them tried again."""

import asyncio
from collections.abc import Iterator
from typing import Any

from cluster.events import Emit
from cluster.location.binding import Binding
from cluster.location.record import Record
from cluster.location.service import LocationService
from cluster.messages.pending import ANYBODY, RANKS
from cluster.messages.service import Messages, Row
from node.fork.target import device_of
from node.messages.reach import reach_of
from ops.collecting import Delivery
from ops.device import device_shown
from ops.errors import NotPossible
from ops.events import MessagesDropped
from ops.waiting import MOST

_TOGETHER = 50  # reads at the same time


class StoredMessages:
    """The queues, seen from one node."""

    def __init__(
        self, messages: Messages, locations: LocationService, delivery: Delivery, emit: Emit
    ) -> None:
        """`delivery` has drains once the node serves."""
        self._messages = messages
        self._locations = locations
        self._delivery = delivery
        self._emit = emit

    async def users(self) -> list[dict[str, Any]]:
        """Users with stored messages, at most MOST: how many, and for how long the first has waited, which
        is the oldest of the most urgent ones. Raises StoreUnavailable."""
        found = await self._messages.users(MOST)
        rows: list[dict[str, Any]] = []
        for start in range(0, len(found), _TOGETHER):
            some = found[start : start + _TOGETHER]
            firsts = await asyncio.gather(*(self._messages.listed(aor, 1) for aor, _ in some))
            for (aor, count), first in zip(some, firsts, strict=True):
                age = self._age(first[0]) if first else None
                rows.append({"aor": aor, "count": count, "age": age})
        return rows

    async def waiting(self, aor: str) -> list[dict[str, Any]]:
        """The first messages of a user, at most MOST, in the order of delivery. Raises StoreUnavailable."""
        return [self._shown(row) for row in await self._messages.listed(aor, MOST)]

    async def drop(self, aor: str, identity: str) -> int:
        """Takes out one message, or all of the user with ""; how many there were. Raises StoreUnavailable."""
        count = await self._messages.drop(aor, identity)
        if count:
            self._emit(MessagesDropped(aor, identity, count))
        return count

    async def retry(self, aor: str) -> dict[str, Any]:
        """Hands out, from this node, what the devices of a user are owed, also to those that rest after a
        failure. Returns which are tried, and which cannot be reached now. Raises StoreUnavailable
        and NotPossible."""
        drains = self._delivery.drains
        if drains is None or drains.closing:
            raise NotPossible("this node does not serve; ask another one with --socket")
        record = await self._locations.fetch(aor)
        reach = reach_of(record, drains.now_ms(), drains.target, drains.gone)
        drains.registered(aor, record, tuple(reach), drains.clock())
        owed = [device for device in dict.fromkeys(map(device_of, record.bindings)) if _owed(record, device)]
        return {
            "tried": [device_shown(device) for device in owed if device in reach],
            "away": [device_shown(device) for device in owed if device not in reach],
            "stored": bool(record.messages),
        }

    async def owed(self, aor: str) -> dict[str, int]:
        """How many of the first MOST messages each binding of a user is owed, by its key. Raises
        StoreUnavailable."""
        record = await self._locations.lookup(aor)
        if not record.messages:
            return {}
        rows = await self._messages.listed(aor, MOST)
        return {binding.key: _count(rows, binding) for binding in record.bindings}

    def status(self) -> dict[str, Any]:
        """Totals and counts."""
        drains = self._delivery.drains
        return {"pending": self._messages.total, "here": drains.status() if drains is not None else {}}

    def _age(self, row: Row) -> int:
        return max(0, (self._locations.now_ms() - row.pending.stored_at) // 1000)

    def _shown(self, row: Row) -> dict[str, Any]:
        pending = row.pending
        left = max(0, (pending.expires_at - self._locations.now_ms()) // 1000)
        return {
            "id": pending.id,
            "sender": pending.sender,
            "call_id": pending.call_id,
            "stored_at": pending.stored_at / 1000,
            "age": self._age(row),
            "expires_in": left,
            "priority": RANKS[pending.rank] if pending.rank < len(RANKS) else str(pending.rank),
            "bytes": len(pending.request),
            "owed": [{"device": device_shown(one), "tried": row.tried.get(one)} for one in row.owed],
            "had": [device_shown(one) for one in _named(row.had)],
        }


def _named(devices: tuple[str, ...]) -> Iterator[str]:
    return (device for device in devices if device != ANYBODY)


def _owed(record: Record, device: str) -> bool:
    messages = record.messages
    return bool(messages) and (messages.get(device, True) or messages.get(ANYBODY, False))


def _count(rows: list[Row], binding: Binding) -> int:
    """A device that a message does not know is owed it too, unless it is for certain devices only."""
    device = device_of(binding)
    if not (binding.instance or binding.prid):
        return sum(ANYBODY in row.owed for row in rows)
    return sum(device in row.owed or not ({device, ANYBODY} & {*row.had}) for row in rows)
