"""The best response (RFC 3261 16.7 step 6), as a function of statuses."""

from __future__ import annotations

from collections.abc import Sequence

PREFERRED_4XX = (401, 407, 415, 420, 484)
URGENT = frozenset((401, 407, 415, 420, 484, 488, 606))


def rank(status: int) -> tuple[int, int, int]:
    """Sort key of a final status: the smaller, the better.

    6xx before the lowest class; within 4xx those that tell the caller how to ask again;
    408, 430 and 503 last, since they only say that a device could not be asked.
    """
    if 200 <= status < 300:
        return (0, 0, status)
    if status >= 600:
        return (1, 0, status)
    if status in (408, 430, 503):
        return (9, 0, status)
    preferred = 0 if status in PREFERRED_4XX else 1
    return (status // 100, preferred, 0 if preferred else status)


def best(statuses: Sequence[int]) -> int:
    """Index of the best final status; -1 for none. Equal ones: the first that came."""
    return min(range(len(statuses)), key=lambda i: rank(statuses[i]), default=-1)


def towards_caller(status: int, another_node: bool = False) -> int:
    """What the caller hears instead: a branch's 503 is not the caller's (16.7 step 6),
    and 430 is between nodes; both mean that the phone cannot be reached now. Another node
    hears them as they are: after a 430 it tries the next flow of the device (RFC 5626 5.3),
    and a message that a phone refused by 503 it keeps for later."""
    return 480 if status in (430, 503) and not another_node else status
