"""A pending message and what is said of it; the types that cross the border of this room."""

from __future__ import annotations

import msgspec

ANYBODY = "*"  # the device of a message that nobody in particular is owed: who registers first gets it
AGAIN = (408, 430, 503)  # silent, its flow is gone, not reachable: it will be tried again
RANKS = ("emergency", "urgent", "normal", "non-urgent")  # Priority (RFC 3261 20.26), first served first


class Pending(msgspec.Struct, frozen=True):
    """One stored message. The times are on the store's clock, in ms."""

    id: str  # the same for each copy of one request: see `node.messages.kind.identity`
    aor: str
    rank: int  # index into RANKS
    stored_at: int
    expires_at: int
    request: bytes  # the SIP request, without the header fields of its way here
    call_id: str = ""
    sender: str = ""  # From URI
    kind: str = "message"  # what a push would tell; "" for what wakes nobody


class Owed(msgspec.Struct, frozen=True):
    """One pending message that one device has not confirmed. `tried`: final statuses of earlier tries."""

    pending: Pending
    device: str


class Seeker(msgspec.Struct, frozen=True):
    """A device that can be reached now. Not `named`: it has neither an instance nor a push token, so that it
    is never known again; it gets only what nobody has."""

    device: str
    named: bool = True


class Stored(msgspec.Struct, frozen=True):
    """What became of storing. `refused` is "" (it is kept, on as many replicas as configured), "full" (the
    recipient's queue) or "total" (all queues together). `again`: it was there already. `first`: those of its
    devices that were owed nothing of its kind before."""

    refused: str = ""
    again: bool = False
    first: tuple[str, ...] = ()


class Claimed(msgspec.Struct, frozen=True):
    """What a claim brought. `fence` 0: another node has it for `left_ms` more, and will look again for us.
    `owed` is in the order of delivery for each device; `more`: there is more than was asked for."""

    fence: int = 0
    left_ms: int = 0
    owed: tuple[Owed, ...] = ()
    more: bool = False


class Mark(msgspec.Struct, frozen=True):
    """A device is not owed a message any more: `status` is its final response, 2xx if it has it. A status of
    `AGAIN` is only noted, for operators: it is still owed."""

    id: str
    device: str
    status: int


class Expired(msgspec.Struct, frozen=True):
    """A message that left the queue unconfirmed."""

    id: str
    aor: str
    sender: str
    call_id: str
    devices: tuple[str, ...]  # that never confirmed it
    stored_at: int


class Swept(msgspec.Struct, frozen=True):
    """What the collector found in one queue: `expired` have left, `pending` stay; `waiting` are the devices
    that are owed something."""

    expired: tuple[Expired, ...] = ()
    pending: int = 0
    waiting: tuple[str, ...] = ()
    claimed: bool = False
