"""One message on its way to one device: what a response context is to a forked request, for a single phone.

The flows of a device are tried one after the other (RFC 5626). When the phone registers from elsewhere while
its answer is awaited, it is asked there as well; a 2xx counts, whichever way it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.fork.branch import Branch

if TYPE_CHECKING:
    from node.fork.target import Target
    from node.request import Request
    from node.resolve.locator import Destination
    from node.sip.codec import Message
    from node.transaction.table import Server

Told = Callable[["Copy", int, "Message | None", float], None]


class Copy:
    """Owner of the branches to one device. `told(copy, status, response, now)` is called once: the final
    status of the device, with its response if one came; 408 for silence, 430 for a flow that is gone, 503 for
    a destination that cannot be reached."""

    __slots__ = (
        "ask",
        "avoid",
        "branch",
        "device",
        "request",
        "server",
        "status",
        "target",
        "timed_out",
        "told",
    )

    invite = False

    def __init__(
        self,
        request: Request,
        device: str,
        target: Target,
        ask: Callable[[Branch, float], None],
        avoid: Callable[[Destination], None],
        told: Told,
    ) -> None:
        """`ask(branch, now)` is who sends a branch on its way."""
        self.request = request
        self.device = device
        self.target = target
        self.ask = ask
        self.avoid = avoid
        self.told = told
        self.status = 0
        self.server: Server | None = None  # who asks for the response decides about it
        self.timed_out = False
        self.branch: Branch | None = None

    def start(self, now: float) -> None:
        """Sends it; a target that is asleep ends it at once with 430."""
        self.branch = Branch(self, self.target)
        self.ask(self.branch, now)

    def moved(self, target: Target, now: float) -> None:
        """The phone registered from elsewhere."""
        if not self.status:
            self.target = target
            self.start(now)

    def provisional(self, branch: Branch, message: Message, now: float) -> None:
        """Says nothing about the message."""

    def final(self, branch: Branch, message: Message, now: float) -> None:
        """A final response of the device, or of the node that holds its flow."""
        status = message.status
        branch.status = status
        if 200 <= status < 300:
            self._end(status, message, now)
        elif branch is self.branch:
            if status == 430:
                self.failed(branch, status, now)
            else:
                self._end(status, message, now)

    def failed(self, branch: Branch, status: int, now: float) -> None:
        """A branch ended without a response: the device's next flow is tried."""
        branch.status = status
        if branch is not self.branch or self.status:
            return
        alternative = branch.target.alternative
        if alternative is None:
            self._end(status, None, now)
        else:
            self.branch = Branch(self, alternative)
            self.ask(self.branch, now)

    def release(self, branch: Branch) -> None:
        """Of a CANCEL only, which no MESSAGE gets."""

    def _end(self, status: int, message: Message | None, now: float) -> None:
        if not self.status:
            self.status = status
            self.told(self, status, message, now)
