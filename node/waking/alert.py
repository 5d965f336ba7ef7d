"""One phone that one request wakes: its pushes, from the first to the closing one.

    PLANNED ── after its patience, or its connection is gone ──► PUSHED ── a response, or it is over ──► DONE
       └────── a response, or it is over ─────────────────────────────────────────────────────────────────┘

The first push tells of the request. Alerts (Apple phones without a VoIP token) are repeated while nobody
answers and closed by one that says what became of the call; all of them replace each other on the screen.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cluster.push.push import Event, Push
from node.waking.notification import push_of

if TYPE_CHECKING:
    from cluster.location.binding import Binding
    from node.waking.decision import Decision
    from node.waking.held import Held

PLANNED, PUSHED, DONE = range(3)
CLOSING = 3600.0  # seconds that a closing alert may be delivered late


class Alert:
    """Pushes of one request to one phone."""

    __slots__ = ("binding", "decision", "held", "lost", "push", "queued", "repeated", "since", "state")

    def __init__(self, held: Held, binding: Binding, decision: Decision, now: float) -> None:
        self.held = held
        self.binding = binding
        self.decision = decision
        self.state = PLANNED
        self.push: Push | None = None
        self.queued = False
        self.lost = False  # it could not be queued: nobody comes
        self.repeated = 0
        self.since = now

    @property
    def must_ring(self) -> bool:
        """Apple demands that a phone woken by a VoIP push shows a call, even one that is over."""
        return self.decision.kind == "voip" and self.push is not None

    def plan(self, now: float, patience: float) -> None:
        """Pushes now, or when the patience with the phone (at least `patience` seconds) is over."""
        after = max(self.decision.after, patience)
        if after > 0:
            self.held.waker.timers.after(after, now, self.send)
        else:
            self.send(now)

    def send(self, now: float) -> None:
        """The first push, if there is still need for it."""
        if self.state != PLANNED:
            return
        self.state = PUSHED
        self.held.listen()
        self.push = self._make(self.held.event, max(1.0, self.held.ends - now))
        self.held.waker.pushes.send(self.push, self._queued)

    def answered(self, status: int, now: float) -> None:
        """The phone responded: nothing more is to be pushed, and what still waits is taken back."""
        if self.state == DONE:
            return
        if self.state == PUSHED:
            self.withdraw()
        else:
            elapsed = round(1000 * (now - self.since))
            self.held.note(self.binding, f"no push: it answered {status} after {elapsed} ms")
        self.state = DONE

    def close(self, outcome: Event) -> None:
        """The request is over without this phone; `outcome` is missed, accepted or declined."""
        if self.state != PUSHED:
            self.state = DONE
            return
        self.withdraw()
        if self.decision.kind == "alert" and self.held.event == "call":
            self.held.waker.pushes.send(self._make(outcome, CLOSING), _ignore)

    def withdraw(self) -> None:
        """What nobody has sent yet is taken back, and nothing more is pushed."""
        self.state = DONE
        if self.push is not None:
            self.held.waker.pushes.withdraw(self.push)

    def _make(self, event: Event, ttl: float) -> Push:
        held = self.held
        return push_of(
            held.context.request.message,
            held.aor,
            self.binding,
            self.decision,
            event,
            held.waker.pushes.now_ms(),
            ttl,
            held.waker.settings,
        )

    def _queued(self, problem: str) -> None:
        now = self.held.waker.clock()
        if problem:
            self.lost = self.push is not None and self.repeated == 0
            self.held.note(self.binding, f"no push: {problem}")
            self.held.lost(now)
            return
        if not self.queued:
            self.queued = True
            self.held.note(self.binding, f"a {self.decision.kind} push was queued for a {self.held.event}")
            self.held.pushed(self, now)
        if self.state == PUSHED:
            self._repeat_later(now)

    def _repeat_later(self, now: float) -> None:
        interval, most = self._repetition()
        if interval and self.repeated < most:
            self.held.waker.timers.after(interval, now, partial(self._again, self.repeated))

    def _repetition(self) -> tuple[float, int]:
        """Seconds between pushes, and how many more there may be."""
        settings = self.held.waker.settings
        if self.held.event != "call":
            return 0.0, 0
        if self.decision.kind == "alert":
            own = self.binding.push.get("pn-call-remote-push-interval", "")
            interval = float(min(int(own), 30)) if own.isdigit() else settings.call_remote_push_interval
            if interval:
                return interval, int(self.held.ttl / interval)
        return settings.retransmission_interval, settings.retransmission_count

    def _again(self, count: int, now: float) -> None:
        if self.state == PUSHED and self.repeated == count:
            self.repeated += 1
            self.push = self._make(self.held.event, max(1.0, self.held.ends - now))
            self.held.waker.pushes.send(self.push, self._queued)


def _ignore(problem: str) -> None:
    """Whether the closing alert was queued changes nothing."""
