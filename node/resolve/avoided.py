"""Destinations that failed a moment ago: tried last, never left out (RFC 3263 4.3)."""

from __future__ import annotations

from typing import Final

from node.resolve.plan import Destination

PERIOD: Final = 30.0  # seconds
LIMIT: Final = 1024

Key = tuple[str, str, int]


class Avoided:
    """Puts failed destinations behind the others for half a minute."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: dict[Key, float] = {}

    def add(self, destination: Destination, now: float) -> None:
        """A destination did not answer, or refused."""
        key = destination[:3]
        self._until.pop(key, None)
        if len(self._until) >= LIMIT:
            del self._until[next(iter(self._until))]
        self._until[key] = now + PERIOD

    def remove(self, destination: Destination) -> None:
        """A destination answered."""
        self._until.pop(destination[:3], None)

    def last(self, destinations: tuple[Destination, ...], now: float) -> tuple[Destination, ...]:
        """The same destinations, those that failed lately at the end."""
        if not self._until or len(destinations) < 2:
            return destinations
        until = self._until
        return tuple(sorted(destinations, key=lambda one: until.get(one[:3], 0.0) > now))
