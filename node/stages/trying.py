"""100 Trying at once (RFC 3261 16.2), before anything has to be waited for."""

from __future__ import annotations

from node.request import Request
from node.stages import Verdict


class Trying:
    """Stops the caller's retransmissions of an INVITE."""

    @staticmethod
    def concerns(method: str) -> bool:
        """INVITE only: no other request may be answered 100 at once (RFC 4320 4.1)."""
        return method == "INVITE"

    def __call__(self, request: Request) -> Verdict:
        """Answers, and lets the request pass on."""
        request.reply(100, request.now)
        return None
