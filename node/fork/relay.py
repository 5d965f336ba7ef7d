"""A request that goes to one place only: no INVITE, one target, one known flow.

Most requests of a dialog are like that. What a response context would do for them comes down
to passing responses on, so they get this instead (a third of the CPU of a BYE). The rules are
those of `response_context`: 100 stops here, a branch's 430 or 503 is not the caller's, and
nobody answers 408 to a request other than INVITE (RFC 4320).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.fork.best import towards_caller

if TYPE_CHECKING:
    from node.request import Request
    from node.sip.codec import Message


class Open:
    """How many requests have no final response yet."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Relay:
    """Owner of the client transaction of such a request."""

    __slots__ = ("open", "request")

    def __init__(self, request: Request, open_requests: Open) -> None:
        self.request = request
        self.open = open_requests
        open_requests.count += 1

    def response(self, message: Message, now: float) -> None:
        """Passes it on, with our own words where the status is not the caller's."""
        status = message.status
        if status == 100:
            return
        if status >= 200:
            self.open.count -= 1
        heard = towards_caller(status, self.request.flow.listener.internal)
        server = self.request.server
        if heard != status:
            self.request.reply(heard, now)
        elif server is not None:
            server.respond(status, message.pop_via(), now)

    def failed(self, status: int, reason: str, now: float) -> None:
        """Timed out (silence), or the flow broke: 480, and 430 to another node (RFC 5626 5.3)."""
        self.open.count -= 1
        if status != 408:
            another_node = self.request.flow.listener.internal
            self.request.reply(towards_caller(430 if status == 503 else status, another_node), now)

    def accepted(self) -> Relay:
        """Itself: only an INVITE can be accepted more than once."""
        return self
