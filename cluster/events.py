"""What this floor has to tell upwards: frozen records, handed to the `emit(event)` that was given to it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Event(msgspec.Struct, frozen=True):
    """Anything of this module."""


class StoreLost(Event, frozen=True):
    """The connection to Redis ended or stopped answering; the read cache was dropped."""

    address: str
    reason: str


class StoreBack(Event, frozen=True):
    """Redis answers (again) at this address."""

    address: str


class TrackingUnavailable(Event, frozen=True):
    """This Redis has no CLIENT TRACKING: every lookup is a read; use Redis 6 or later."""

    address: str
    reason: str


class CoordinatorLost(Event, frozen=True):
    """No etcd endpoint answers; the last membership snapshot stands."""

    reason: str


class CoordinatorBack(Event, frozen=True):
    """An etcd endpoint answers (again)."""

    endpoint: str


class MemberJoined(Event, frozen=True):
    """A node (or a new incarnation of it) is in the snapshot."""

    name: str
    epoch: str


class MemberLost(Event, frozen=True):
    """The leased key of a node vanished: it left or died."""

    name: str
    epoch: str


class MembershipLapsed(Event, frozen=True):
    """This node's own lease may have run out; others may take it for dead. It joins again by itself."""

    name: str


class NameLost(Event, frozen=True):
    """Another living node has this node's name; this one is no member any more."""

    name: str
    reason: str


Emit = Callable[[Event], None]


def silent(_: Event) -> None:
    """An `emit` for those who do not listen."""
