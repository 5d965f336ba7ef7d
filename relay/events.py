"""What the relay has to tell upwards: frozen records, handed to the `emit(event)` that was given to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from relay.address import Address


@dataclass(frozen=True, slots=True)
class Event:
    """Anything of this floor; `session` is the name that its relay session was given."""

    session: str


@dataclass(frozen=True, slots=True)
class SourceLearned(Event):
    """A side is heard from a new address. Time to write the session down for a takeover."""

    line: int
    side: str
    source: Address | None


@dataclass(frozen=True, slots=True)
class SessionIdle(Event):
    """Nobody sends any more, on no media line, for as long as was set. Told once until somebody does."""


@dataclass(frozen=True, slots=True)
class StreamFloods(Event):
    """A phone sends more than a stream may: packets are dropped. At most once a second and flow."""

    line: int
    side: str


Emit = Callable[[Event], None]
