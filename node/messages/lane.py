"""What one device is still to get: one copy at a time, in order.

        READY ──(a copy leaves)──► BUSY ──2xx or refused for good──► READY
                                     └──408, 430, 503──► RESTING ──a REGISTER, or its time is over──► READY

A lane that rests gives back what it held: the store still has it, and whoever continues takes it from there.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from cluster.messages.pending import Owed, Seeker
from node.fork.response_context import UNREACHABLE

if TYPE_CHECKING:
    from node.messages.copy import Copy
    from node.messages.reach import Reach
    from node.sip.codec import Message

NEVER = float("inf")
LONGEST_REST = 3600.0  # seconds


class Lane:
    """One device of one address of record."""

    __slots__ = (
        "copy", "device", "marks", "more", "owed", "paused", "reach", "rest_until", "tried_at", "tries",
        "waiting",
    )  # fmt: skip

    def __init__(self, device: str, reach: Reach) -> None:
        self.device = device
        self.reach: Reach | None = reach  # None while there is no way to it
        self.waiting: deque[Owed] = deque()  # held here, in order
        self.owed: Owed | None = None  # on its way
        self.copy: Copy | None = None
        self.marks = 0  # answers that the store has been told of, and has not confirmed
        self.more = True  # the store may have more
        self.tries = 0  # in vain, one after the other
        self.paused = False  # it rests because something else is on its way to the device
        self.rest_until = 0.0  # NEVER: until it registers
        self.tried_at = 0  # the latest registration that was known when it went to rest

    @property
    def seeker(self) -> Seeker:
        """As the store is asked."""
        return Seeker(self.device, self.reach is None or self.reach.named)

    @property
    def working(self) -> bool:
        """It has something to do that nobody else may do."""
        return self.copy is not None or bool(self.waiting)

    def open(self, now: float) -> bool:
        """Whether it may be given something."""
        return self.copy is None and self.reach is not None and self.rest_until <= now

    def found(self, reach: Reach | None, registered: bool) -> None:
        """What the record says of it now; `registered`: this very moment. A registration ends its rest, and
        any look its pause."""
        if reach is None:
            self.waiting.clear()
        elif self.rest_until and (self.paused or registered or reach.registered_at > self.tried_at):
            self.rest_until = 0.0
            self.paused = False
        self.reach = reach

    def taken(self, owed: list[Owed], more: bool) -> None:
        """The next messages, in order."""
        self.waiting = deque(owed)
        self.more = more

    def put_down(self) -> None:
        """The right to deliver is gone: what is held here belongs to the store again."""
        self.waiting.clear()
        self.more = True

    def rest(self, status: int, response: Message | None, retry: float, now: float) -> None:
        """The device could not be asked. A flow that is gone comes back with a REGISTER only; else it is
        tried again after `retry` seconds, doubled each time, or as long as it asks for."""
        self.put_down()
        self.paused = False
        self.tried_at = self.reach.registered_at if self.reach is not None else 0
        if status == 430:
            self.rest_until = NEVER
            return
        asked = retry_after(response) if response is not None else 0.0
        delay = asked or retry * 2 ** min(self.tries, 12)
        self.tries += 1
        self.rest_until = now + min(delay, LONGEST_REST)

    def pause(self, delay: float, now: float) -> None:
        """The order waits for what is on its way to the device otherwise."""
        if self.paused or self.rest_until <= now:
            self.put_down()
            self.paused = True
            self.rest_until = now + delay


def closes(status: int, response: Message | None) -> bool:
    """Whether a final status says that the device will not be asked again: it was asked, and answered."""
    return response is not None and status not in UNREACHABLE


def retry_after(response: Message) -> float:
    """Seconds that a response asks to wait; 0 if it does not say."""
    value = response.first("retry-after")
    if value is None:
        return 0.0
    digits = value.split(b";")[0].split(b"(")[0].strip()
    return float(digits) if digits.isdigit() and len(digits) < 10 else 0.0
