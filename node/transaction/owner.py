"""Whom a client transaction tells what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from node.sip.codec import Message


class Owner(Protocol):
    """The branch of a response context that asked."""

    def response(self, message: Message, now: float) -> None:
        """A provisional or final response; for INVITE several 2xx may come."""

    def failed(self, status: int, reason: str, now: float) -> None:
        """No response will come: 408 timed out, 503 the flow broke, 487 cancelled in vain."""

    def accepted(self) -> Owner:
        """Who takes further 2xx once the first has come: what lingers for half a minute is small."""
