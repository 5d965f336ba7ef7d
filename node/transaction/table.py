"""All transactions of one node, found by one dictionary look-up.

Server transactions are keyed by the codec's key (RFC 3261 17.2.3), client transactions
by the branch that we made: nobody else's response is found, so a response that matches
nothing is dropped (RFC 6026 8.9 forbids to forward it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.transaction.client_invite import InviteClient
from node.transaction.client_non_invite import NonInviteClient
from node.transaction.server_invite import InviteServer
from node.transaction.server_non_invite import NonInviteServer
from node.transaction.timers import Timers
from node.transaction.timing import Timing

if TYPE_CHECKING:
    from node.sip.codec import Message
    from node.transaction.owner import Owner
    from node.transport.flow import Flow

Server = InviteServer | NonInviteServer
Client = InviteClient | NonInviteClient


class TransactionTable:
    """The rows; `limit` bounds server transactions (each has at most `fork` clients)."""

    __slots__ = ("_clients", "_servers", "limit", "now", "server", "timers", "timing", "unmatched")

    def __init__(
        self, timers: Timers, timing: Timing, now: Callable[[], float], limit: int = 200_000
    ) -> None:
        """`now` is the clock of the shell, needed when a flow closes outside a message."""
        self.timers = timers
        self.timing = timing
        self.now = now
        self.limit = limit
        self.unmatched = 0  # responses dropped because no client transaction asked for them
        self._servers: dict[bytes, Server] = {}
        self.server = self._servers.get  # by a request's key: is it a retransmission, or an ACK?
        self._clients: dict[bytes, Client] = {}

    @property
    def counts(self) -> tuple[int, int]:
        """Server and client transactions alive."""
        return len(self._servers), len(self._clients)

    def invite_of(self, cancel: Message) -> InviteServer | None:
        """The INVITE that a CANCEL means (RFC 3261 9.2), if it is here."""
        found = self._servers.get(cancel.key.removesuffix(b"CANCEL") + b"INVITE")
        return found if isinstance(found, InviteServer) else None

    def open(self, message: Message, key: bytes, flow: Flow, now: float) -> Server | None:
        """A new server transaction for a key that `server` does not know; None if the table is full."""
        if len(self._servers) >= self.limit:
            return None
        server: Server
        if message.method == "INVITE":
            server = InviteServer(self, key, flow)
        else:
            server = NonInviteServer(self, key, flow, now)
        self._servers[key] = server
        return server

    def ask(self, method: str, branch: bytes, sent: bytes, flow: Flow, owner: Owner, now: float) -> Client:
        """A new client transaction: sends `sent` over `flow`, tells `owner` what comes back."""
        client: Client
        if method == "INVITE":
            client = InviteClient(self, branch, sent, flow, owner)
        else:
            client = NonInviteClient(self, branch, sent, flow, owner)
        self._clients[branch] = client
        client.start(now)
        return client

    def cancel(self, branch: bytes, sent: bytes, flow: Flow, now: float) -> None:
        """A client transaction for a CANCEL; it shares the branch of its INVITE (9.1)."""
        key = branch + b"CANCEL"
        client = self._clients[key] = NonInviteClient(self, key, sent, flow, None)
        client.start(now)

    def response(self, message: Message, now: float) -> bool:
        """Hands a response to who asked; False if nobody did (it is dropped)."""
        branch = message.branch
        client = self._clients.get(branch if message.method != "CANCEL" else branch + b"CANCEL")
        if client is None:
            self.unmatched += 1
            return False
        client.response(message, now)
        return True

    def forget_server(self, key: bytes) -> None:
        """A server transaction ended."""
        self._servers.pop(key, None)

    def forget_client(self, branch: bytes) -> None:
        """A client transaction ended."""
        self._clients.pop(branch, None)
