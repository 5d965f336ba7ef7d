"""Stages: what a new request passes on its way (the order is in `node.route`).

A stage is called with a `Request`. It returns None to let it pass on, TAKEN when it has
answered or forwarded it, or an awaitable of either when it must wait for Redis or DNS.
A stage may say which methods concern it (`concerns(method)`): others are not led past it.
Stages parse nothing themselves: they ask the codec and the noun files of `node.sip`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from node.request import Request


class Taken:
    """The type of TAKEN."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "TAKEN"


TAKEN = Taken()
Verdict = Taken | None
Stage = Callable[[Request], Verdict | Awaitable[Verdict]]
