"""Pushes that tell of stored messages: one for each message and device, or for the first that waits.

A phone whose connection is open was asked already and is silent: it is pushed once its patience is over,
unless it answers. One that cannot be reached is pushed at once. What nobody has sent yet is taken back when
the phone answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.push.push import Push
from node.fork.target import device_of
from node.waking.decision import decide
from node.waking.notification import push_of

if TYPE_CHECKING:
    from cluster.location.binding import Binding
    from node.settings import WakingSettings
    from node.sip.codec import Message
    from node.transaction.timers import Timers
    from node.waking.decision import Decision
    from node.waking.journal import Journal
    from node.waking.pushes import Pushes


class WakeUps:
    """Wakes devices for messages. `asked_for` seconds is how long a silent one was waited for already."""

    __slots__ = ("asked_for", "journal", "pushes", "settings", "timers")

    def __init__(
        self, pushes: Pushes, journal: Journal, timers: Timers, settings: WakingSettings, asked_for: float
    ) -> None:
        self.pushes = pushes
        self.journal = journal
        self.timers = timers
        self.settings = settings
        self.asked_for = asked_for

    def wake(
        self, message: Message, aor: str, binding: Binding, gone: bool, expires_at: int, now: float
    ) -> WakeUp | None:
        """Pushes a device, now or later; None if it cannot be. `gone`: it cannot be reached; `expires_at`
        (ms, store's clock) is the end of the message."""
        decision = decide(binding, gone, "message", self.pushes.catalogue.supports, self.settings)
        if not decision.wake:
            self.note(aor, binding, f"no push: {decision.why}")
            return None
        wake_up = WakeUp(self, message, aor, binding, decision, expires_at)
        after = decision.after - self.asked_for
        if gone or after <= 0:
            wake_up.send(now)
        else:
            self.timers.after(after, now, wake_up.send)
        return wake_up

    def note(self, aor: str, binding: Binding, text: str) -> None:
        """For `clarion explain push`."""
        self.journal.note(aor, device_of(binding), self.pushes.now_ms(), text)


class WakeUp:
    """One push for one message and device."""

    __slots__ = ("_aor", "_binding", "_decision", "_expires_at", "_message", "_over", "_push", "_shared")

    def __init__(
        self,
        shared: WakeUps,
        message: Message,
        aor: str,
        binding: Binding,
        decision: Decision,
        expires_at: int,
    ) -> None:
        self._shared = shared
        self._message = message
        self._aor = aor
        self._binding = binding
        self._decision = decision
        self._expires_at = expires_at
        self._push: Push | None = None
        self._over = False

    def send(self, now: float) -> None:
        """Once, if the device has not answered meanwhile."""
        if self._over or self._push is not None:
            return
        pushes = self._shared.pushes
        now_ms = pushes.now_ms()
        ttl = max(1.0, (self._expires_at - now_ms) / 1000)
        self._push = push_of(
            self._message,
            self._aor,
            self._binding,
            self._decision,
            "message",
            now_ms,
            ttl,
            self._shared.settings,
        )
        pushes.send(self._push, self._queued)

    def answered(self, status: int) -> None:
        """The device responded: it need not be woken."""
        if self._over:
            return
        self._over = True
        if self._push is not None:
            self._shared.pushes.withdraw(self._push)
        else:
            self._note(f"no push: it answered {status}")

    def _queued(self, problem: str) -> None:
        self._note(
            f"no push: {problem}" if problem else f"a {self._decision.kind} push was queued for a message"
        )

    def _note(self, text: str) -> None:
        self._shared.note(self._aor, self._binding, text)
