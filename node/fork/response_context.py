"""The response context (RFC 3261 16.7): what becomes of one forwarded request.

Rules, in the RFC's order:
 1. 100 stops here; other provisional responses pass while no final one has passed.
 2. A 2xx passes at once; to INVITE each further 2xx passes as well. The other branches
    are cancelled with Reason SIP;cause=200 "Call completed elsewhere".
 3. A 6xx cancels all branches (Reason SIP;cause=600 "Busy Everywhere") and starts no
    further group; it passes when the branches have ended. Option: no_global_decline.
 4. When all branches of a group have ended, or its time is over, the next group starts.
 5. An urgent failure (the caller can mend it: 401, 415, 488 ...) waits for the other devices
    for a few seconds only (option urgent_timeout).
 6. When all have ended the best response passes (`best`), with the challenges of all
    401 and 407 in it (step 7). A request other than INVITE is never answered 408 (RFC 4320).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from node.fork.best import best, towards_caller
from node.fork.branch import Branch
from node.fork.target import device_of

if TYPE_CHECKING:
    from cluster.push.push import Event
    from node.fork.settings import ForkTimers
    from node.fork.target import Target
    from node.request import Request
    from node.resolve.locator import Destination
    from node.sip.codec import Message
    from node.waking.held import Held

UNREACHABLE = frozenset((408, 430, 503))
COMPLETED_ELSEWHERE = b'Reason: SIP;cause=200;text="Call completed elsewhere"\r\n'
BUSY_EVERYWHERE = b'Reason: SIP;cause=600;text="Busy Everywhere"\r\n'
CAUSE = re.compile(rb"cause\s*=\s*(\d{3})")
CHALLENGES = (("www-authenticate", b"WWW-Authenticate"), ("proxy-authenticate", b"Proxy-Authenticate"))


class ResponseContext:
    """Branches of one request. `ask(branch, now)` is who sends a branch on its way."""

    __slots__ = (
        "ask", "avoid", "branches", "cancelled", "declined", "ended", "held", "invite", "passed", "pending",
        "q", "rang", "request", "server", "timed_out", "timers", "told", "urgent", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        request: Request,
        timers: ForkTimers,
        ask: Callable[[Branch, float], None],
        ended: Callable[[ResponseContext, int, float], None],
        avoid: Callable[[Destination], None],
    ) -> None:
        assert request.server is not None, "an ACK has no response context"
        self.request = request
        self.server = request.server
        self.invite = request.invite
        self.timers = timers
        self.ask = ask
        self.ended = ended  # told the final status once
        self.avoid = avoid  # told a destination that did not answer (RFC 3263 4.3)
        self.branches: list[Branch] = []
        self.waiting: list[list[Target]] = []  # groups not yet asked
        self.pending = 0  # branches without a final response
        self.passed = 0  # the final status that the caller has
        self.declined = False
        self.cancelled = False
        self.urgent = False  # an urgent failure is held back
        self.held: Held | None = None  # while phones are being woken
        self.q = 0  # of the group that was asked last
        self.rang = False  # the caller has a provisional response of a phone
        self.told = 0  # the provisional response of our own that the caller has
        self.timed_out = False  # we cancelled a branch because nobody answered in time

    def start(self, groups: list[list[Target]], now: float) -> None:
        """Asks the first group; the others follow. An empty list is answered 480."""
        if self.invite:
            self.timers.whole.restart(self, now, self._too_long)
        if len(groups) == 1:
            self.add(groups[0], now)
        else:
            self.waiting = groups
            self._go_on(now)

    def add(self, targets: list[Target], now: float) -> None:
        """Further branches at once."""
        if len(targets) == 1:
            branch = Branch(self, targets[0])
            self.branches.append(branch)
            self.pending += 1
            if self.held is not None:
                self.held.begins(branch, now)
            self.ask(branch, now)
            return
        # All are counted before the first is asked: it may fail on the spot, and that
        # must not look like the end of the group.
        branches = [Branch(self, target) for target in targets]
        self.branches += branches
        self.pending += len(branches)
        if self.held is not None:
            for branch in branches:
                self.held.begins(branch, now)
        for branch in branches:
            if not branch.status:
                self.ask(branch, now)

    def join(self, target: Target, now: float) -> None:
        """A phone that registered while the request waits: at once, or with its group if that is still to
        come."""
        if target.binding is not None and self.waiting:
            device = device_of(target.binding)
            self.waiting = [
                [other for other in group if other.binding is None or device_of(other.binding) != device]
                for group in self.waiting
            ]
        if self.waiting and target.q < self.q:
            self.waiting = sorted(
                [*(group for group in self.waiting if group), [target]], key=lambda group: -group[0].q
            )
        else:
            self.add([target], now)

    def late(self, target: Target, now: float) -> Branch:
        """A branch for a phone that must be asked although the request is over."""
        branch = Branch(self, target)
        self.branches.append(branch)
        self.pending += 1
        self.ask(branch, now)
        return branch

    def supersede(self, branch: Branch, now: float) -> None:
        """The phone of an open branch is to be asked elsewhere; `join` follows."""
        branch.status = 430
        self._settled(branch)
        branch.supersede(now)

    def release(self, branch: Branch) -> None:
        """A phone that never responded cannot be cancelled yet (RFC 3261 9.1): the caller need not wait."""
        if self.invite and not branch.released:
            branch.released = True
            self.pending -= 1

    def progress(self, status: int, now: float) -> None:
        """A provisional response of our own (110, 180), unless the caller has heard more."""
        if self.invite and not (self.passed or self.cancelled or self.rang) and status > self.told:
            self.told = status
            self.request.progress(status, now)

    def settle(self, now: float) -> None:
        """Nobody may be expected any more."""
        self._go_on(now)

    def provisional(self, branch: Branch, message: Message, now: float) -> None:
        """A provisional response of a branch."""
        if self.invite and self.timers.timer_c is not None:
            self.timers.timer_c.restart(branch, now, branch.timer_c)
        if message.status > 100 and self.held is not None:
            self.held.responded(branch, message.status, now)
        if message.status > 100 and not self.passed and not self.cancelled:
            self.rang = True
            self.server.respond(message.status, message.pop_via(), now)

    def final(self, branch: Branch, message: Message, now: float) -> None:
        """A final response of a branch."""
        status = message.status
        if branch.status:
            if branch.superseded and 200 <= status < 300:
                self._succeed(status, message, now)
            return
        if status == 430 and branch.target.alternative is not None:
            self.failed(branch, status, now)
            return
        if self.held is not None and status not in UNREACHABLE:
            self.held.responded(branch, status, now)
        branch.status = status
        branch.message = message
        if 200 <= status < 300:
            self._settled(branch)
            self._succeed(status, message, now)
            return
        if status >= 600 and not self.timers.no_global_decline and not self.declined:
            self.declined = True
            self._over("declined", BUSY_EVERYWHERE, now)
            self.cancel_branches(BUSY_EVERYWHERE, now)
        self._settled(branch)
        if self.held is not None and status in UNREACHABLE:
            self.held.unreachable(branch, now)
        if (self.pending or self._waits) and self.invite and not self.urgent and self._is_urgent(status):
            self.urgent = True
            self.timers.urgent.restart(self, now, self._answer_urgent)
        self._go_on(now)

    def failed(self, branch: Branch, status: int, now: float) -> None:
        """A branch ended without a response: `status` stands for it."""
        if branch.status:
            return
        branch.status = status
        self._settled(branch)
        alternative = branch.target.alternative
        if alternative is not None and not self.cancelled and not self.declined and not self.passed:
            self.add([alternative], now)
            return
        if self.held is not None and status in UNREACHABLE:
            self.held.unreachable(branch, now)
        self._go_on(now)

    def cancel(self, reason: bytes, now: float) -> None:
        """The caller cancelled; `reason` holds its Reason lines (RFC 3326)."""
        if self.passed:
            return
        self.cancelled = True
        self.waiting = []
        self._over(outcome_of(reason), reason, now)
        self.cancel_branches(reason, now)
        self._go_on(now)

    def cancel_branches(self, reason: bytes, now: float) -> None:
        """Takes back every branch that has no final response."""
        if self.pending:
            for branch in tuple(self.branches):
                if not branch.status:
                    branch.cancel(reason, now)

    def _succeed(self, status: int, message: Message, now: float) -> None:
        if self.passed and not self.invite:
            return
        self.server.respond(status, message.pop_via(), now)
        if not self.passed:
            self._over("accepted", COMPLETED_ELSEWHERE, now)
            self._pass(status, now)
        if self.pending and self.invite:
            self.cancel_branches(COMPLETED_ELSEWHERE, now)

    @property
    def _waits(self) -> bool:
        return self.held is not None and self.held.waits

    def _over(self, outcome: Event, reason: bytes, now: float) -> None:
        if self.held is not None:
            self.held.over(outcome, reason, now)

    def _settled(self, branch: Branch) -> None:
        if not branch.released:
            self.pending -= 1
        if self.passed and not self.pending:
            self.branches = []  # breaks the cycle, so that a finished call needs no collector
        if self.timers.timer_c is not None and branch.provisional:
            self.timers.timer_c.stop(branch)

    def _go_on(self, now: float) -> None:
        if self.passed:
            return
        if self.pending or self._waits:
            return
        if self.waiting and not self.declined:
            self._next_group(now)
        else:
            self._answer(now)

    def _next_group(self, now: float) -> None:
        group = self.waiting.pop(0)
        if not group:  # its phones have joined already
            self._go_on(now)
            return
        self.q = group[0].q
        if self.waiting:
            self.timers.group.restart(self, now, self._group_is_over)
        self.add(group, now)

    def _group_is_over(self, now: float) -> None:
        if self.waiting and not (self.passed or self.cancelled or self.declined):
            self._next_group(now)

    def _is_urgent(self, status: int) -> bool:
        return status in self.timers.urgent_statuses or self.timers.all_urgent

    def _answer_urgent(self, now: float) -> None:
        """The caller can mend what one device asks for: it need not wait for the others."""
        if not (self.passed or self.cancelled):
            self.waiting = []
            self._answer(now)
            self.cancel_branches(b"", now)

    def _answer(self, now: float) -> None:
        request = self.request
        answered = [branch for branch in self.branches if branch.status]
        statuses = [branch.status for branch in answered]
        if self.cancelled:
            statuses = [487 if status in (408, 430, 503) else status for status in statuses]
        elif self.timed_out:
            statuses = [408 if status in (430, 487, 503) else status for status in statuses]
        chosen = best(statuses)
        if chosen < 0:
            status = 487 if self.cancelled else 408 if self.timed_out else 480
            self._pass(status, now)
            request.reply(status, now)
            return
        status = towards_caller(statuses[chosen], request.flow.listener.internal)
        message = answered[chosen].message
        challenges = self._challenges(answered[chosen], status)
        self._pass(status, now)
        if status == 408 and not self.invite:
            return  # RFC 4320 4.2
        if message is None or message.status != status:
            request.reply(status, now)
        else:
            self.server.respond(status, message.pop_via(challenges), now)

    def _challenges(self, chosen: Branch, status: int) -> bytes:
        """Challenges of the other branches, for the best 401 or 407 (16.7 step 7)."""
        if status not in (401, 407) or len(self.branches) == 1:
            return b""
        lines = []
        for branch in self.branches:
            if branch is not chosen and branch.message is not None and branch.status in (401, 407):
                for name, written in CHALLENGES:
                    lines += [written + b": " + value + b"\r\n" for value in branch.message.all(name)]
        return b"".join(lines)

    def _pass(self, status: int, now: float) -> None:
        self.passed = status
        self._over("missed", b"", now)
        if not self.pending:
            self.branches = []
        if self.invite:
            self.timers.whole.stop(self)
            if self.waiting:
                self.waiting = []
                self.timers.group.stop(self)
            if self.urgent:
                self.timers.urgent.stop(self)
        self.ended(self, status, now)

    def _too_long(self, now: float) -> None:
        """The call was not answered within its time: branches are cancelled, 408 at best."""
        self.timed_out = True
        self.waiting = []
        self._over("missed", b"", now)
        self.cancel_branches(b"", now)
        self._go_on(now)


def outcome_of(reason: bytes) -> Event:
    """What a CANCEL with these Reason lines (RFC 3326) says of the call."""
    cause = CAUSE.search(reason)
    code = int(cause[1]) if cause else 0
    return "accepted" if code == 200 else "declined" if code >= 600 else "missed"
