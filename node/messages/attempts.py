"""The attempts of one node, and what they share."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from cluster.messages.events import MessageNotKept
from cluster.messages.pending import ANYBODY
from node.fork.target import device_of
from node.messages import kind
from node.messages.attempt import Attempt, is_named
from node.messages.lone import Lone
from node.messages.turns import Turns

if TYPE_CHECKING:
    from cluster.events import Event
    from cluster.location.binding import Binding
    from cluster.location.service import LocationService
    from cluster.messages.pending import Pending
    from cluster.messages.settings import MessagesSettings
    from node.fork.branch import Branch
    from node.fork.relay import Open
    from node.fork.target import Target
    from node.messages.drains import Drains
    from node.messages.kept import Messages
    from node.messages.under_way import UnderWay
    from node.messages.wake import WakeUps
    from node.request import Request
    from node.resolve.locator import Destination
    from node.settings import WakingSettings
    from node.transaction.table import Client
    from node.transaction.timers import Timers

MOMENT = 0.5  # seconds that a phone has before its message is stored
GRAIN = 0.1  # seconds between two looks for those whose moment is over


class Attempts:
    """Takes each MESSAGE that may be kept."""

    def __init__(
        self,
        store: Messages,
        locations: LocationService,
        drains: Drains,
        under_way: UnderWay,
        ask: Callable[[Branch, float], None],
        alone: Callable[[Request, Target, Lone], Client | None],
        avoid: Callable[[Destination], None],
        gone: Callable[[Target], bool],
        open_requests: Open,
        timers: Timers,
        clock: Callable[[], float],
        wake_ups: WakeUps | None,
        settings: MessagesSettings,
        waking: WakingSettings,
        retry_after: int,
        emit: Callable[[Event], None] | None,
    ) -> None:
        """`alone(request, target, owner)` asks a target at once, if no more than that is needed. `ask`,
        `avoid` and `gone` as in `Drains`. `open_requests` counts those that wait for an answer.
        Without `wake_ups` nobody is woken."""
        self.store = store
        self.drains = drains
        self.under_way = under_way
        self.ask = ask
        self.avoid = avoid
        self.gone = gone
        self.open = open_requests
        self.timers = timers
        self.clock = clock
        self.wake_ups = wake_ups
        self.settings = settings
        self.turns = Turns()
        self.moment = min(MOMENT, settings.accept_timeout)
        self.patience = settings.accept_timeout - self.moment  # after the moment
        self._locations = locations
        self._waking = waking
        self._emit = emit
        self._retry_after = b"Retry-After: %d\r\n" % retry_after
        self._alone = alone
        self._lones: deque[tuple[float, Lone]] = deque()  # in the order in which they came
        self._ticking = False
        self.later = 0  # messages that a device has, and that Redis is to be told of for the others
        self._storing: dict[str, int] = {}  # messages on their way to the store

    def take(self, request: Request) -> None:
        """A storable MESSAGE with its target set and the record that this was made of."""
        groups = request.groups
        if groups and len(groups) == 1 and len(groups[0]) == 1 and self._take_lone(request, groups[0][0]):
            return
        self.open.count += 1
        attempt = Attempt(self, request)
        self.turns.join(attempt)
        attempt.start(request.now)

    def _take_lone(self, request: Request, target: Target) -> bool:
        """Asks the only device, unless more than that has to be done."""
        record, last, aor = request.record, self.turns.last, request.aor
        if target.asleep or target.alternative is not None or record is None or record.messages:
            return False
        if aor in last or (self._storing and aor in self._storing):
            return False
        lone = last[aor] = Lone(self, request, target)
        self.open.count += 1
        lone.client = self._alone(request, target, lone)
        if lone.client is None and last.get(aor) is lone:
            del last[aor]
            self.open.count -= 1
            return False
        self._lones.append((request.now + self.moment, lone))
        if not self._ticking:
            self._ticking = True
            self.timers.after(self.moment, request.now, self._tick)
        return True

    def _tick(self, now: float) -> None:
        """The moments of those that are over."""
        lones = self._lones
        while lones and lones[0][0] <= now:
            lones.popleft()[1].late(now)
        self._ticking = bool(lones)
        if lones:
            self.timers.after(GRAIN, now, self._tick)

    # -- from the attempts

    def behind_others(self, request: Request, device: str, binding: Binding) -> bool:
        """Whether a device has to get older messages first. One that the queue does not know yet gets all
        that is in it."""
        if self._storing and request.aor in self._storing:
            return True  # perhaps to this device: what the record says is of before
        record = request.record
        if record is None or not record.messages:
            return False
        messages = record.messages
        return messages.get(device, is_named(binding)) or messages.get(ANYBODY, False)

    def storing(self, aor: str, change: int) -> None:
        """One more message of that user is being stored, or one less."""
        count = self._storing.get(aor, 0) + change
        if count:
            self._storing[aor] = count
        else:
            del self._storing[aor]

    def pending(self, request: Request) -> Pending:
        """What is stored of a request."""
        device = request.uri.decode("latin-1") if _for_one(request) else ""
        return kind.pending(request, device, self._locations.now_ms(), self.settings, self._waking)

    def not_for(self, request: Request) -> tuple[str, ...]:
        """Whom a message is not for, though they were not asked. ANYBODY: nor for any device that is not
        registered yet."""
        if not _for_one(request) or request.record is None:
            return ()
        targets = (target.binding for group in request.groups or () for target in group)
        asked = {device_of(binding) for binding in targets if binding is not None}
        others = (device_of(binding) for binding in request.record.bindings if is_named(binding))
        return (ANYBODY, *(device for device in others if device not in asked))

    def not_kept(self, request: Request, devices: tuple[str, ...], reason: str) -> None:
        """It is not stored, for a reason that `refuse` knows."""
        if self._emit is not None:
            message = request.message
            sender, call_id = message.from_uri.decode("utf-8", "replace"), message.call_id
            self._emit(
                MessageNotKept(request.aor, sender, call_id.decode("utf-8", "replace"), devices, reason)
            )

    def refuse(self, request: Request, reason: str, now: float) -> None:
        """Nobody has the message, and it is not kept."""
        if reason == "max_per_user":
            request.reply(480, now, "The recipient's message queue is full")
        elif reason == "max_size":
            request.reply(513, now)
        elif reason == "max_total":
            request.reply(503, now, "Too many messages wait", self._retry_after)
        else:
            request.reply(503, now, "Message store unavailable", self._retry_after)


def _for_one(request: Request) -> bool:
    """A GRUU names one device; `sips:` all of those that are reached by TLS."""
    return request.uri.find(b";gr") >= 0 or request.uri[:5].lower() == b"sips:"
