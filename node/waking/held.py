"""A request that is held until the phones which it wakes have registered.

For each device there is one branch at a time. When a registration of the address of record is heard (from
any node; a lost publication is caught by looking again every `LOOK_AGAIN` seconds):

    a device that registered after the request came, without a branch .... a late branch
    its branch ended unreachable (408, 430, 503) ......................... a new branch
    its branch is open, and the phone registered from elsewhere .......... the branch is replaced
    its branch is open, same flow ........................................ it is sent again at once (UDP)
    it has answered ...................................................... nothing

When the request is over (answered, declined, cancelled, too late), closing pushes leave. A phone that got a
VoIP push and has not responded must show a call: should it still register in time, it is sent the INVITE
and the CANCEL with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.errors import StoreUnavailable
from node.fork.response_context import UNREACHABLE
from node.fork.target import device_of
from node.waking.alert import Alert
from node.waking.decision import decide

if TYPE_CHECKING:
    from cluster.location.binding import Binding
    from cluster.location.service import Record
    from cluster.push.push import Event
    from node.fork.branch import Branch
    from node.fork.response_context import ResponseContext
    from node.waking.wait import Wait
    from node.waking.waker import Waker

LOOK_AGAIN = 2.0
MOST_BRANCHES = 64


class Held:
    """The wait of one response context."""

    __slots__ = (
        "_alerts", "_branches", "_closed", "_late", "_listening", "_outcome", "_reason", "_rings", "aor",
        "context", "ends", "event", "started_ms", "ttl", "wait", "waker",
    )  # fmt: skip

    def __init__(
        self,
        waker: Waker,
        context: ResponseContext,
        wait: Wait,
        ttl: float,
        now: float,
    ) -> None:
        """`ttl` is how long it waits, in seconds."""
        self.waker = waker
        self.context = context
        self.wait = wait
        self.aor = wait.aor
        self.event = wait.event
        self.ttl = ttl
        self.ends = now + ttl + (LOOK_AGAIN if context.invite else 0)  # a call is ended by its own clock
        self.started_ms = waker.locations.now_ms()
        self._alerts: dict[str, Alert] = {}
        self._branches: dict[str, Branch] = {}  # the latest of each device
        self._late = 0
        self._rings = False  # the caller was told 180 by us
        self._outcome = ""  # once it is over
        self._reason = b""
        self._closed = False
        self._listening = False
        if waker.settings.fork_late:
            self.listen()
        waker.timers.after(LOOK_AGAIN, now, self._look_again)

    # -- from the response context

    def begins(self, branch: Branch, now: float) -> None:
        """A branch is about to be asked: its phone is pushed, once for this request."""
        binding = branch.target.binding
        if binding is None or self._outcome:
            return
        device = device_of(binding)
        self._branches[device] = branch
        if device in self._alerts:
            return
        decision = decide(
            binding,
            branch.target.asleep,
            self.event,
            self.waker.pushes.catalogue.supports,
            self.waker.settings,
        )
        if not decision.wake:
            self.note(binding, f"no push: {decision.why}")
            return
        alert = self._alerts[device] = Alert(self, binding, decision, now)
        alert.plan(now, 0.0 if branch.target.asleep else self.wait.patience)

    def responded(self, branch: Branch, status: int, now: float) -> None:
        """The phone answered, provisionally or not."""
        alert = self._alert(branch)
        if alert is not None:
            alert.answered(status, now)

    def unreachable(self, branch: Branch, now: float) -> None:
        """The phone could not be asked: it is woken at once."""
        alert = self._alert(branch)
        if alert is not None:
            alert.send(now)

    @property
    def waits(self) -> bool:
        """Whether a phone is still expected."""
        if self._outcome or self._closed:
            return False
        if self.waker.settings.fork_late and self.context.invite:
            return True
        return any(
            not alert.lost and self._branches[device].status in UNREACHABLE
            for device, alert in self._alerts.items()
        )

    def over(self, outcome: Event, reason: bytes, now: float) -> None:
        """What became of the request: missed, accepted or declined; `reason` are the lines of a CANCEL."""
        if self._outcome:
            return
        self._outcome, self._reason = outcome, reason
        for device, alert in tuple(self._alerts.items()):
            if alert.must_ring and self._branches[device].silent:
                alert.withdraw()
            else:
                alert.close(outcome)
                del self._alerts[device]
        if not self._alerts:
            self._close()

    # -- from the alerts

    def listen(self) -> None:
        """Hear of registrations from now on, and look for those that were not heard. A phone that answers in
        time costs none of this."""
        if self._listening or self._closed:
            return
        self._listening = True
        try:
            self.waker.locations.subscribe(self.aor, self._heard)
        except StoreUnavailable:
            pass  # looking again finds it

    def pushed(self, alert: Alert, now: float) -> None:
        """A push was queued: the caller hears of it."""
        self.context.progress(110, now)
        if alert.decision.kind == "alert" and self.event == "call" and not self._rings:
            self._rings = True
            self.context.progress(180, now)

    def lost(self, now: float) -> None:
        """A push could not be queued: perhaps nobody is expected any more."""
        self.context.settle(now)

    def note(self, binding: Binding, text: str) -> None:
        """For `clarion explain push`."""
        self.waker.journal.note(self.aor, device_of(binding), self.waker.pushes.now_ms(), text)

    # -- from the location service

    def _heard(self, aor: str, keys: tuple[str, ...]) -> None:
        if not self._closed:
            self.waker.look(self)

    def _look_again(self, now: float) -> None:
        if self._closed:
            return
        if now >= self.ends:
            context = self.context
            self._close()
            context.settle(now)
            return
        self.waker.timers.after(LOOK_AGAIN, now, self._look_again)
        self.waker.look(self)

    def seen(self, record: Record, now: float) -> None:
        """What is registered now."""
        now_ms = self.waker.locations.now_ms()
        for binding in record.bindings:
            living = binding.message_expires_at if self.event == "message" else binding.expires_at
            if self._closed:
                return
            if living > now_ms and self.wait.only(binding):
                self._registered(binding, now)
                self._refused(binding, now)

    def _registered(self, binding: Binding, now: float) -> None:
        device = device_of(binding)
        branch = self._branches.get(device)
        if self._outcome:
            self._ring_and_cancel(device, binding, now)
        elif branch is None:
            if binding.registered_at >= self.started_ms:
                self._ask(binding, now)
        elif branch.status in UNREACHABLE:
            if self._moved(branch, binding) or binding.registered_at > self._known(branch).registered_at:
                self._ask(binding, now)
        elif not branch.status:
            if self._moved(branch, binding):
                self.context.supersede(branch, now)
                self._ask(binding, now)
            elif binding.registered_at > self._known(branch).registered_at:
                branch.again(self.waker.target(binding))

    def _refused(self, binding: Binding, now: float) -> None:
        """The provider may have said that the phone's token is dead: then nobody will come."""
        alert = self._alerts.get(device_of(binding))
        if alert is None or alert.lost or not alert.queued or alert.binding.key != binding.key:
            return
        if alert.decision.token not in binding.prid:
            alert.lost = True
            self.note(binding, "the provider refused its push token: it is not waited for")
            self.lost(now)

    def _ring_and_cancel(self, device: str, binding: Binding, now: float) -> None:
        alert, branch = self._alerts.get(device), self._branches.get(device)
        if alert is None or branch is None or binding.registered_at <= alert.binding.registered_at:
            return
        if not branch.status and not self._moved(branch, binding):
            return  # the INVITE is still on its way there, and its CANCEL follows the first response
        del self._alerts[device]
        self.context.late(self.waker.target(binding), now).cancel(self._reason, now)
        if not self._alerts:
            self._close()

    def _ask(self, binding: Binding, now: float) -> None:
        if self._late < MOST_BRANCHES:
            self._late += 1
            self.context.join(self.waker.target(binding), now)

    def _moved(self, branch: Branch, binding: Binding) -> bool:
        """Whether the phone is to be reached another way than the branch goes."""
        known = self._known(branch)
        return (known.uri, known.flow, known.node, known.epoch, known.path) != (
            binding.uri, binding.flow, binding.node, binding.epoch, binding.path
        )  # fmt: skip

    @staticmethod
    def _known(branch: Branch) -> Binding:
        binding = branch.target.binding
        assert binding is not None, "only branches of bindings are kept here"
        return binding

    def _alert(self, branch: Branch) -> Alert | None:
        binding = branch.target.binding
        return None if binding is None else self._alerts.get(device_of(binding))

    def _close(self) -> None:
        self._closed = True
        if self._listening:
            self.waker.locations.unsubscribe(self.aor, self._heard)
        self._alerts.clear()
        self._branches.clear()
        self.context.held = None
