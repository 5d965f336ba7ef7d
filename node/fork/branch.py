"""One branch of a response context: a target, and the client transaction that asks it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from node.transaction.client_invite import InviteClient

if TYPE_CHECKING:
    from node.fork.target import Target
    from node.request import Request
    from node.resolve.locator import Destination
    from node.sip.codec import Message
    from node.transaction.table import Client, Server

CANCELLED = 487
TRY_NEXT = (408, 503)


class Context(Protocol):
    """What becomes of a branch matters to: the response context of a fork, or a copy of a message."""

    request: Request
    ask: Callable[[Branch, float], None]
    avoid: Callable[[Destination], None]
    timed_out: bool

    @property
    def server(self) -> Server | None: ...
    def provisional(self, branch: Branch, message: Message, now: float) -> None: ...
    def final(self, branch: Branch, message: Message, now: float) -> None: ...
    def failed(self, branch: Branch, status: int, now: float) -> None: ...
    def release(self, branch: Branch) -> None: ...


class FurtherAnswers:
    """Owner of a client transaction that was accepted: every further 2xx is the caller's
    (RFC 3261 16.7 step 5). It holds neither the request nor the response context."""

    __slots__ = ("server",)

    def __init__(self, server: Server) -> None:
        self.server = server

    def response(self, message: Message, now: float) -> None:
        """A repeated 2xx, or that of another phone behind the same branch."""
        self.server.respond(message.status, message.pop_via(), now)

    def failed(self, status: int, reason: str, now: float) -> None:
        """Cannot happen after a 2xx."""

    def accepted(self) -> FurtherAnswers:
        """Itself."""
        return self


class Branch:
    """Owner of a client transaction. `status` is 0 while no final response has come."""

    __slots__ = (
        "cancelled", "client", "context", "hop", "hops", "message", "provisional", "released", "status",
        "superseded", "target", "tried_tcp",
    )  # fmt: skip

    def __init__(self, context: Context, target: Target) -> None:
        self.context = context
        self.target = target
        self.client: Client | None = None
        self.status = 0
        self.message: Message | None = None  # the final response, if one came
        self.provisional = 0  # the highest provisional status so far
        self.cancelled: bytes | None = None  # Reason lines, once it is to be cancelled
        self.hop: Destination | None = None  # where it was sent, if that was looked up
        self.hops: tuple[Destination, ...] = ()  # further destinations to try (RFC 3263 4.3)
        self.released = False  # nobody waits for its final response any more
        self.superseded = False  # the phone was asked again elsewhere
        self.tried_tcp = False  # a request too long for UDP went by TCP first

    @property
    def silent(self) -> bool:
        """True while the phone itself has not responded; 100, 408, 430 and 503 may be another node's."""
        if self.provisional > 100 or (self.provisional and not self.target.internal):
            return False
        return self.message is None or self.status in (408, 430, 503)

    def response(self, message: Message, now: float) -> None:
        """From the client transaction."""
        if message.status >= 200:
            if message.status == 503 and self.hops and self.cancelled is None:
                self.failed(503, "Unavailable", now)
            else:
                self.context.final(self, message, now)
            return
        first = not self.provisional
        self.provisional = max(self.provisional, message.status)
        if self.cancelled is None:
            self.context.provisional(self, message, now)
        elif first:
            self._cancel_client(now)

    def failed(self, status: int, reason: str, now: float) -> None:
        """From the client transaction, or from who could not open one: tries the next hop."""
        self.client = None
        if status == 503 and self.target.flow_token:
            status = 430  # the phone's own connection broke (RFC 5626 5.3): it may come back by another
        if self.cancelled is not None:
            self.context.failed(self, CANCELLED, now)
        elif self.hops and status in TRY_NEXT:
            if self.hop is not None:
                self.context.avoid(self.hop)
            self.context.ask(self, now)
        else:
            self.context.failed(self, status, now)

    def accepted(self) -> FurtherAnswers:
        """Takes over from the branch after its first 2xx."""
        server = self.context.server
        assert server is not None, "only an INVITE is accepted, and it has a server transaction"
        return FurtherAnswers(server)

    def cancel(self, reason: bytes, now: float) -> None:
        """Takes the branch back; before a provisional response it has to wait (9.1)."""
        if self.cancelled is not None or self.status:
            return
        self.cancelled = reason
        if self.client is None:
            self.context.failed(self, CANCELLED, now)
        elif self.provisional:
            self._cancel_client(now)
        else:
            self.context.release(self)

    def supersede(self, now: float) -> None:
        """The phone is asked elsewhere: this one is taken back, and its answers do not count, save a 2xx."""
        self.superseded = True
        if self.cancelled is None:
            self.cancelled = b""
            if self.provisional:
                self._cancel_client(now)

    def again(self, target: Target) -> None:
        """The phone registered anew where the request waits for an answer: over UDP it is sent again."""
        self.target = target
        if self.client is not None and not self.provisional:
            self.client.hurry()

    def timer_c(self, now: float) -> None:
        """RFC 3261 16.8: it rang too long without a final response."""
        self.context.timed_out = True
        self.cancel(b"", now)

    def _cancel_client(self, now: float) -> None:
        if isinstance(self.client, InviteClient) and self.cancelled is not None:
            self.client.cancel(self.cancelled, now)
