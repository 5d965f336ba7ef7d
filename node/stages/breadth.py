"""Max-Breadth (RFC 5393 5): how many branches a request may have at a time, everywhere.

Without it a request that forks to itself through two proxies multiplies until Max-Forwards
runs out. What a request may still have is divided among its branches.
"""

from __future__ import annotations

from node.fork.target import Target
from node.request import Request
from node.stages import TAKEN, Verdict

INITIAL = 60


class Breadth:
    """Sets the share of each branch; 440 when there are more branches than allowed."""

    def __init__(self, most_branches: int) -> None:
        self._most = most_branches

    @staticmethod
    def concerns(method: str) -> bool:
        """ACK and BYE go to one place."""
        return method not in ("ACK", "BYE")

    def __call__(self, request: Request) -> Verdict:
        """A request with one target and no Max-Breadth passes untouched."""
        groups = request.groups
        present = request.message.has("max-breadth")
        if not present and (groups is None or (len(groups) == 1 and len(groups[0]) == 1)):
            return None
        parallel = max(map(len, groups), default=1) if groups else 1
        allowed = INITIAL
        if present:
            value = request.message.first("max-breadth") or b""
            if not value.isdigit() or len(value) > 9:
                request.reply(400, request.now, "Max-Breadth that is not a number")
                return TAKEN
            allowed = int(value)
        if parallel > allowed:
            request.reply(440, request.now)
            return TAKEN
        if groups is not None and sum(map(len, groups)) > self._most:
            request.groups = _first(groups, self._most)
        request.breadth = max(1, allowed // parallel)
        return None


def _first(groups: list[list[Target]], most: int) -> list[list[Target]]:
    """The `most` best targets."""
    kept: list[list[Target]] = []
    for group in groups:
        if most <= 0:
            break
        kept.append(group[:most])
        most -= len(group)
    return kept
