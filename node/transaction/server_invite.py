"""INVITE server transaction (RFC 3261 17.2.1, states of RFC 6026 7.1).

PROCEEDING -- 2xx from above ------> ACCEPTED  -- timer L --> gone
    |                                   (retransmitted INVITE: absorbed; ACK: goes up)
    '------- 300-699 from above ---> COMPLETED -- ACK ------> CONFIRMED -- timer I --> gone
                                        (timer G: answer again; timer H: give up)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.fork.response_context import ResponseContext
    from node.transaction.table import TransactionTable
    from node.transport.flow import Flow

PROCEEDING, ACCEPTED, COMPLETED, CONFIRMED, GONE = range(5)


class InviteServer:
    """Answers one INVITE towards who sent it."""

    __slots__ = ("_interval", "cancelled", "context", "flow", "key", "last", "state", "table")

    def __init__(self, table: TransactionTable, key: bytes, flow: Flow) -> None:
        self.table = table
        self.key = key
        self.flow = flow
        self.state = PROCEEDING
        self.last = b""
        self.context: ResponseContext | None = None  # whom a CANCEL is told
        self.cancelled = False  # a CANCEL came before there was a context
        self._interval = 0.0

    def retransmitted(self, now: float) -> None:
        """The same INVITE came again: the last response goes again."""
        if self.state in (PROCEEDING, COMPLETED) and self.last:
            self.flow.send(self.last)

    def acknowledged(self, now: float) -> bool:
        """An ACK matched. True: it was for a non-2xx response and ends here."""
        if self.state == COMPLETED:
            self.state = CONFIRMED
            self.last = b""
            self.context = None
            if self.flow.reliable:
                self._end(now)
            else:
                self.table.timers.after(self.table.timing.t4, now, self._end)  # timer I
        return self.state != ACCEPTED

    def respond(self, status: int, data: bytes, now: float) -> None:
        """Sends the response `data`; several 2xx may follow each other (RFC 6026 8.1)."""
        if self.state == PROCEEDING:
            if status < 200:
                self.last = data
            elif status < 300:
                self.state = ACCEPTED
                self.last = b""
                self.context = None
                self.table.timers.after(self.table.timing.give_up, now, self._end)  # timer L
            else:
                self._complete(data, now)
        elif self.state != ACCEPTED or not 200 <= status < 300:
            return
        self.flow.send(data)

    def _complete(self, data: bytes, now: float) -> None:
        self.state = COMPLETED
        self.last = data
        timing = self.table.timing
        if not self.flow.reliable:
            self._interval = timing.t1
            self.table.timers.after(timing.t1, now, self._answer_again)  # timer G
        self.table.timers.after(timing.give_up, now, self._end_unconfirmed)  # timer H

    def _answer_again(self, now: float) -> None:
        if self.state == COMPLETED:
            self.flow.send(self.last)
            self._interval = min(2 * self._interval, self.table.timing.t2)
            self.table.timers.after(self._interval, now, self._answer_again)

    def _end_unconfirmed(self, now: float) -> None:
        if self.state == COMPLETED:
            self._end(now)

    def _end(self, now: float) -> None:
        self.state = GONE
        self.context = None
        self.table.forget_server(self.key)
