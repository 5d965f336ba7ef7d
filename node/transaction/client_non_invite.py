"""Non-INVITE client transaction (RFC 3261 17.1.2).

TRYING -- 1xx --> PROCEEDING                (timer E: send again; its chain ends as timer F: 408)
either -- final --> COMPLETED -- timer K --> gone (absorbs repeats)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.sip.codec import Message
    from node.transaction.owner import Owner
    from node.transaction.table import TransactionTable
    from node.transport.flow import Flow

TRYING, PROCEEDING, COMPLETED, GONE = range(4)


class NonInviteClient:
    """Asks one destination with one request other than INVITE and ACK."""

    __slots__ = ("_interval", "_until", "branch", "flow", "owner", "sent", "state", "table")

    def __init__(
        self,
        table: TransactionTable,
        branch: bytes,
        sent: bytes,
        flow: Flow,
        owner: Owner | None,
    ) -> None:
        self.table = table
        self.branch = branch
        self.sent = sent
        self.flow = flow
        self.owner = owner
        self.state = TRYING
        self._interval = table.timing.t1
        self._until = 0.0

    def start(self, now: float) -> None:
        """Sends the request and starts its timers."""
        table, flow = self.table, self.flow
        self._until = now + table.timing.give_up
        if flow.reliable:
            flow.watch(self._flow_closed)
            table.timers.after(table.timing.give_up, now, self._give_up)  # timer F
        else:
            table.timers.after(self._interval, now, self._send_again)  # timer E
        flow.send(self.sent)

    def hurry(self) -> None:
        """Sends it again before its time, over UDP: who is asked has just come back."""
        if self.state == TRYING and not self.flow.reliable:
            self.flow.send(self.sent)

    def response(self, message: Message, now: float) -> None:
        """A response with this branch came."""
        if self.state >= COMPLETED:
            return
        owner = self.owner
        if message.status < 200:
            self.state = PROCEEDING
        else:
            self.state = COMPLETED
            self.sent = b""
            self.owner = None
            if self.flow.reliable:
                self.flow.unwatch(self._flow_closed)
                self._end(now)
            else:
                self.table.timers.after(self.table.timing.t4, now, self._end)  # timer K
        if owner is not None:
            owner.response(message, now)

    def _send_again(self, now: float) -> None:
        if self.state >= COMPLETED:
            return
        left = self._until - now
        if left < 0.01:
            self._give_up(now)
            return
        self.flow.send(self.sent)
        timing = self.table.timing
        self._interval = timing.t2 if self.state == PROCEEDING else min(2 * self._interval, timing.t2)
        self.table.timers.after(
            self._interval if self._interval <= left else timing.t1, now, self._send_again
        )

    def _give_up(self, now: float) -> None:
        if self.state < COMPLETED:
            self._fail(408, "No response within timer F", now)

    def _flow_closed(self, flow: Flow, reason: str) -> None:
        if self.state < COMPLETED:
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
        self.owner = None
        self.table.forget_client(self.branch)
