"""Non-INVITE server transaction (RFC 3261 17.2.2, RFC 4320).

    TRYING -- final response from above --> COMPLETED -- timer J --> gone
       '----- no final response within 64 * T1 --------------------> gone, silently

Timer J runs from the request on, not from its answer: the client repeats the request for
64 * T1 and no longer (timer F), so nothing can come later, and one deadline serves both.

RFC 4320 4.2: nobody may send 408 to a non-INVITE request, since the client has given
up at the same moment; so a request that found no answer ends in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.transaction.table import TransactionTable
    from node.transport.flow import Flow

TRYING, COMPLETED, GONE = range(3)


class NonInviteServer:
    """Answers one request other than INVITE and ACK."""

    __slots__ = ("flow", "key", "last", "state", "table")

    def __init__(self, table: TransactionTable, key: bytes, flow: Flow, now: float) -> None:
        self.table = table
        self.key = key
        self.flow = flow
        self.state = TRYING
        self.last = b""
        table.timers.after(table.timing.give_up, now, self._end)

    def retransmitted(self, now: float) -> None:
        """The same request came again: the last response, if any, goes again."""
        if self.last:
            self.flow.send(self.last)

    def acknowledged(self, now: float) -> bool:
        """An ACK never belongs to this transaction; it is swallowed."""
        return True

    def respond(self, status: int, data: bytes, now: float) -> None:
        """Sends the response `data`; what follows a final response is dropped."""
        if self.state != TRYING:
            return
        self.last = data
        self.flow.send(data)
        if status >= 200:
            self.state = COMPLETED
            if self.flow.reliable:
                self._end(now)  # timer J is 0

    def _end(self, now: float) -> None:
        if self.state != GONE:
            self.state = GONE
            self.last = b""
            self.table.forget_server(self.key)
