"""A message for one device that can be asked at once: what nearly every message is.

As long as the device takes it within its moment, nothing is stored and nobody else is concerned, so that this
is all there is of it. In every other case it becomes an `Attempt` with one open copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.fork.target import device_of
from node.messages.attempt import Attempt

if TYPE_CHECKING:
    from node.fork.target import Target
    from node.messages.attempts import Attempts
    from node.request import Request
    from node.sip.codec import Message
    from node.transaction.table import Client


class Lone:
    """Owner of the client transaction. A link of its recipient's chain (see `turns`), always the first."""

    __slots__ = ("ahead", "aor", "behind", "client", "request", "room", "target")

    waits_for_turn = False

    def __init__(self, room: Attempts, request: Request, target: Target) -> None:
        self.room = room
        self.request: Request | None = request  # None once it is over, or an attempt
        self.aor = request.aor
        self.target = target
        self.client: Client | None = None
        self.ahead: Attempt | Lone | None = None
        self.behind: Attempt | Lone | None = None

    def response(self, message: Message, now: float) -> None:
        """From the device."""
        request, status = self.request, message.status
        if status < 200 or request is None:
            return
        if status >= 300:
            self._grow().only.response(message, now)
            return
        self.request = None
        room = self.room
        room.open.count -= 1
        if request.server is not None:
            request.server.respond(status, message.pop_via(), now)
        if self.behind is None:
            del room.turns.last[self.aor]
        else:
            room.turns.leave(self, now)

    def failed(self, status: int, reason: str, now: float) -> None:
        """The flow broke, or nothing came."""
        if self.request is not None:
            self._grow().only.failed(status, reason, now)

    def accepted(self) -> Lone:
        """Itself: only an INVITE can be accepted more than once."""
        return self

    def turn(self, now: float) -> None:
        """It waits for nobody."""

    def late(self, now: float) -> None:
        """Its moment is over."""
        if self.request is not None:
            self._grow().late(now)

    def _grow(self) -> Attempt:
        """The attempt that it becomes."""
        room, request, client = self.room, self.request, self.client
        assert request is not None and self.target.binding is not None, "not over yet, and for a binding"
        self.request = None
        attempt = Attempt(room, request)
        room.turns.replace(self, attempt)
        branch = attempt.adopt(device_of(self.target.binding), self.target)
        branch.client = client
        if client is not None and client.owner is self:
            client.owner = branch
        return attempt
