"""Request validation (RFC 3261 16.3): scheme, Max-Forwards, loops, Proxy-Require."""

from __future__ import annotations

from node.branch_id import BranchIds
from node.request import Request
from node.sip.errors import ParseError
from node.sip.uri import parse_uri
from node.stages import TAKEN, Verdict


class Sanity:
    """Refuses what no later stage should see."""

    def __init__(self, branch_ids: BranchIds) -> None:
        self._branch_ids = branch_ids

    def __call__(self, request: Request) -> Verdict:
        """416, 400, 483, 482 or 420; ACK that fails is dropped."""
        message = request.message
        try:
            if parse_uri(message.uri).headers:
                raise ParseError(400, "Request-URI with header fields")
        except ParseError as error:
            request.reply(error.status, request.now, error.reason)
            return TAKEN
        if message.max_forwards == 0:
            request.reply(483, request.now)
            return TAKEN
        if message.via_count > 1 and self._branch_ids.loops(message):
            request.reply(482, request.now)
            return TAKEN
        if message.has("proxy-require") and request.server is not None:
            unsupported = b", ".join(message.values("proxy-require"))
            request.reply(420, request.now, insert=b"Unsupported: " + unsupported + b"\r\n")
            return TAKEN
        return None
