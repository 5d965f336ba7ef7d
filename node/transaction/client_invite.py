"""INVITE client transaction (RFC 3261 17.1.1, states of RFC 6026 7.2).

CALLING -- 1xx --> PROCEEDING          (timer A: send again, timer B: 408)
either  -- 2xx --> ACCEPTED  -- timer M --> gone     (each further 2xx goes up)
either  -- 300-699 --> COMPLETED -- timer D --> gone (each repeat is acknowledged again)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.sip.codec import parse

if TYPE_CHECKING:
    from node.sip.codec import Message
    from node.transaction.owner import Owner
    from node.transaction.table import TransactionTable
    from node.transport.flow import Flow

CALLING, PROCEEDING, ACCEPTED, COMPLETED, GONE = range(5)


class InviteClient:
    """Asks one destination with one INVITE."""

    __slots__ = ("_ack", "_interval", "_until", "branch", "flow", "owner", "sent", "state", "table")

    def __init__(self, table: TransactionTable, branch: bytes, sent: bytes, flow: Flow, owner: Owner) -> None:
        self.table = table
        self.branch = branch
        self.sent = sent
        self.flow = flow
        self.owner: Owner | None = owner
        self.state = CALLING
        self._ack = b""
        self._interval = table.timing.t1
        self._until = 0.0

    def start(self, now: float) -> None:
        """Sends the request and starts its timers."""
        table, flow = self.table, self.flow
        self._until = now + table.timing.give_up
        if flow.reliable:
            flow.watch(self._flow_closed)
            table.timers.after(table.timing.give_up, now, self._give_up)  # timer B
        else:
            table.timers.after(self._interval, now, self._send_again)  # timer A
        flow.send(self.sent)

    def response(self, message: Message, now: float) -> None:
        """A response with this branch came."""
        status, state, owner = message.status, self.state, self.owner
        if state <= PROCEEDING:
            if status < 200:
                self.state = PROCEEDING
            elif status < 300:
                self._settle(ACCEPTED, now, self.table.timing.give_up)  # timer M
            else:
                self._ack = parse(self.sent).ack(message)
                self.flow.send(self._ack)
                self._settle(COMPLETED, now, 0.0 if self.flow.reliable else self.table.timing.timer_d)
        elif state == COMPLETED:
            if status >= 300:
                self.flow.send(self._ack)
            return
        elif status < 200 or status >= 300:
            return  # ACCEPTED: only 2xx go up
        if owner is not None:
            owner.response(message, now)
            if state <= PROCEEDING and self.state == ACCEPTED:
                self.owner = owner.accepted()

    def hurry(self) -> None:
        """Sends it again before its time, over UDP: who is asked has just come back."""
        if self.state == CALLING and not self.flow.reliable:
            self.flow.send(self.sent)

    def cancel(self, reason: bytes, now: float) -> None:
        """Sends a CANCEL (RFC 3261 9.1) with the header lines `reason`; only after a 1xx."""
        if self.state == PROCEEDING:
            data = parse(self.sent).cancel(reason)
            self.table.cancel(self.branch, data, self.flow, now)
            self.table.timers.after(self.table.timing.give_up, now, self._give_up_cancelled)

    def _settle(self, state: int, now: float, linger: float) -> None:
        self.state = state
        self.sent = b""
        if self.flow.reliable:
            self.flow.unwatch(self._flow_closed)
        if linger:
            self.table.timers.after(linger, now, self._end)
        else:
            self._end(now)

    def _send_again(self, now: float) -> None:
        if self.state != CALLING:
            return
        left = self._until - now
        if left < 0.01:
            self._give_up(now)
            return
        self.flow.send(self.sent)
        self._interval = 2 * self._interval
        # 0.5, 1, 2 ... 16 s after each other, and T1 after the last: timer B without a timer of its own.
        self.table.timers.after(
            self._interval if self._interval <= left else self.table.timing.t1, now, self._send_again
        )

    def _give_up(self, now: float) -> None:
        if self.state == CALLING:
            self._fail(408, "No response within timer B", now)

    def _give_up_cancelled(self, now: float) -> None:
        if self.state == PROCEEDING:
            self._fail(487, "No answer to CANCEL", now)

    def _flow_closed(self, flow: Flow, reason: str) -> None:
        if self.state == CALLING:
            self._fail(503, reason, self.table.now())

    def _fail(self, status: int, reason: str, now: float) -> None:
        owner = self.owner
        if self.flow.reliable:
            self.flow.unwatch(self._flow_closed)
        self._end(now)
        if owner is not None:
            owner.failed(status, reason, now)

    def _end(self, now: float) -> None:
        self.state = GONE
        self.sent = b""
        if self.owner is not None:
            self.table.forget_client(self.branch)
            self.owner = None
