"""MESSAGE requests that are kept until each device of their recipient has them."""

from __future__ import annotations

from node.messages.attempts import Attempts
from node.messages.kind import for_focus, storable
from node.request import Request
from node.stages import TAKEN, Verdict


class Store:
    """Takes those for users of ours. What it lets pass is forwarded like any other request."""

    def __init__(self, attempts: Attempts | None) -> None:
        """None: nothing is kept."""
        self._attempts = attempts

    def concerns(self, method: str) -> bool:
        """MESSAGE, where messages are kept."""
        return method == "MESSAGE" and self._attempts is not None

    def __call__(self, request: Request) -> Verdict:
        """404 for what cannot be kept and reaches nobody."""
        groups = request.groups
        if groups is None or request.record is None or self._attempts is None:
            return None
        if storable(request.message) and not for_focus(groups):
            self._attempts.take(request)
            return TAKEN
        if not groups:
            request.reply(404, request.now)
            return TAKEN
        return None
