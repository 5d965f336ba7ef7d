"""Whether our credentials were good a short while ago."""

from __future__ import annotations

LATELY = 3600.0  # s
REMEMBERED = 1000


class Proven:
    """Where anybody can register an address of somebody else's app, a refusal of one push does not mean that
    our credentials are wrong: not if others were accepted lately. Else one phone could stop a whole lane."""

    def __init__(self) -> None:
        self._accepted: dict[str, float] = {}

    def accepted(self, what: str, now: float) -> None:
        self._accepted[what] = now
        if len(self._accepted) > REMEMBERED:
            del self._accepted[next(iter(self._accepted))]

    def lately(self, what: str, now: float) -> bool:
        return now - self._accepted.get(what, float("-inf")) < LATELY
