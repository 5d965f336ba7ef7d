"""A node that is being stopped takes no new calls; other requests still pass."""

from __future__ import annotations

from node.request import Request
from node.stages import TAKEN, Verdict


class Admission:
    """503 with Retry-After for calls that begin while the node drains."""

    def __init__(self, retry_after: int) -> None:
        self._retry_after = b"Retry-After: %d\r\n" % retry_after
        self.draining = False

    @staticmethod
    def concerns(method: str) -> bool:
        """Calls begin with INVITE."""
        return method == "INVITE"

    def __call__(self, request: Request) -> Verdict:
        """Only an INVITE outside a dialog is refused."""
        if self.draining and not request.message.to_tag:
            request.reply(503, request.now, "This node is being stopped", self._retry_after)
            return TAKEN
        return None
