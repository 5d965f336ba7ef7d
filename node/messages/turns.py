"""Who comes first: messages for one address of record are stored in the order in which they came.

Each attempt that may still be stored is a link of its recipient's chain. What comes later waits to be
stored until what came earlier is stored, or need not be any more: for half a second at most, since an attempt
decides that within its moment. Links cost a message that is taken at once next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.messages.attempt import Attempt


class Turns:
    """The chains of all recipients; an attempt keeps who is `ahead` of it and `behind` it."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[str, Attempt] = {}

    def join(self, attempt: Attempt) -> None:
        """The latest of its recipient."""
        aor = attempt.request.aor
        ahead = self._last.get(aor)
        if ahead is not None:
            attempt.ahead = ahead
            ahead.behind = attempt
        self._last[aor] = attempt

    def leave(self, attempt: Attempt, now: float) -> None:
        """It is decided whether it is stored: those whose turn that makes it are told. Once for each."""
        behind = self._cut(attempt)
        while behind is not None and behind.ahead is None and behind.waits_for_turn:
            following = self._cut(behind)
            behind.turn(now)
            behind = following

    def _cut(self, attempt: Attempt) -> Attempt | None:
        ahead, behind = attempt.ahead, attempt.behind
        if behind is not None:
            behind.ahead = ahead
        elif ahead is not None:
            self._last[attempt.request.aor] = ahead
        else:
            del self._last[attempt.request.aor]
        if ahead is not None:
            ahead.behind = behind
        attempt.ahead = attempt.behind = None
        return behind
