"""100 Trying at once (RFC 3261 16.2), before anything has to be waited for."""

from __future__ import annotations

from node.request import Request
from node.stages import Verdict


def trying(request: Request) -> Verdict:
    """Stops the caller's retransmissions of an INVITE."""
    if request.invite:
        request.reply(100, request.now)
    return None
