"""Who comes first: messages for one address of record are stored in the order in which they came.

Each attempt that may still be stored is a link of its recipient's chain. What comes later waits to be
stored until what came earlier is stored, or need not be any more: for half a second at most, since an attempt
decides that within its moment. Links cost a message that is taken at once next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from node.messages.attempt import Attempt
    from node.messages.lone import Lone

    Link: TypeAlias = Attempt | Lone


class Turns:
    """The chains of all recipients; an attempt keeps who is `ahead` of it and `behind` it."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: dict[str, Link] = {}  # the latest of each recipient

    def join(self, attempt: Attempt) -> None:
        """The latest of its recipient."""
        aor = attempt.aor
        ahead = self.last.get(aor)
        if ahead is not None:
            attempt.ahead = ahead
            ahead.behind = attempt
        self.last[aor] = attempt

    def replace(self, lone: Lone, attempt: Attempt) -> None:
        """It becomes an attempt, and stays the first."""
        attempt.behind = lone.behind
        if lone.behind is None:
            self.last[lone.aor] = attempt
        else:
            lone.behind.ahead = attempt
            lone.behind = None

    def leave(self, attempt: Link, now: float) -> None:
        """It is decided whether it is stored: those whose turn that makes it are told. Once for each."""
        behind = self._cut(attempt)
        while behind is not None and behind.ahead is None and behind.waits_for_turn:
            following = self._cut(behind)
            behind.turn(now)
            behind = following

    def _cut(self, attempt: Link) -> Link | None:
        ahead, behind = attempt.ahead, attempt.behind
        if behind is not None:
            behind.ahead = ahead
        elif ahead is not None:
            self.last[attempt.aor] = ahead
        else:
            del self.last[attempt.aor]
        if ahead is not None:
            ahead.behind = behind
        attempt.ahead = attempt.behind = None
        return behind
