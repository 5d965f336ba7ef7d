"""A MESSAGE whose sender waits: what becomes of it, and what the sender hears.

    OPEN ── a 2xx, and nobody is missing who could be told later ──► DONE: that 2xx
      │  ── all have refused it ─────────────────────────────────► DONE: the best refusal
      │
      └─ its moment is over, or all copies have ended ──► (TURN: earlier ones first) ──► STORING
                                                                                     ┌─────┴─────┐
                                                                                   STORED      LOST

Nothing is answered while it is being stored. From STORED on: a 2xx as soon as there is one, 202 when no
copy is open any more or the sender has waited long enough. LOST (the queue is full, Redis is away ...): the
2xx all the same, else the failure. So 202 is only ever said of what is stored, and whoever has not taken it
by then is owed it: confirmed here when a copy that is still open is answered after all, else delivered by a
drain. Where a device has taken it and Redis was away, the store is asked again for a while: the others are
owed it as much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.errors import StoreUnavailable
from cluster.messages.pending import ANYBODY, Owed
from node.fork.best import best
from node.fork.branch import Branch
from node.fork.target import device_of
from node.messages.copy import Copy
from node.messages.lane import closes

if TYPE_CHECKING:
    from cluster.location.binding import Binding
    from cluster.messages.pending import Pending, Stored
    from node.fork.target import Target
    from node.messages.attempts import Attempts
    from node.messages.lone import Lone
    from node.messages.wake import WakeUp
    from node.request import Request
    from node.sip.codec import Message

OPEN, TURN, STORING, STORED, LOST, DONE = range(6)
FLOW_GONE = 430
ONCE_MORE = 0.5  # seconds until Redis is asked again
GIVEN_UP = 30.0  # seconds after which it is not
MOST_LATER = 10_000  # messages of this node that wait for Redis so


class Attempt:
    """One MESSAGE. Owner of its direct copies."""

    __slots__ = (
        "_accepted", "_answered", "_asleep", "_at_submit", "_copies", "_enough", "_left", "_owed", "_pending",
        "_reason", "_refusals", "_resolved", "_room", "_state", "_until", "_wake_ups", "ahead", "aor",
        "behind", "request",
    )  # fmt: skip

    def __init__(self, room: Attempts, request: Request) -> None:
        self._room = room
        self.request = request
        self.aor = request.aor
        self.ahead: Attempt | Lone | None = None  # see `turns`
        self.behind: Attempt | Lone | None = None
        self._state = OPEN
        self._answered = False
        self._enough = False  # the sender has waited long enough
        self._copies: list[Copy] = []
        self._left = 0  # copies that are open
        self._asleep: dict[str, Binding] | None = None  # devices that no copy was sent to
        self._accepted: Message | None = None  # the first 2xx
        self._refusals: list[Message] | None = None
        self._resolved: list[tuple[Copy, int]] | None = None  # who will not be asked again
        self._at_submit = 0  # how many of those the store was told of
        self._pending: Pending | None = None
        self._owed: tuple[str, ...] = ()
        self._reason = ""  # why it is not stored
        self._until = 0.0  # when Redis is not asked any more
        self._wake_ups: dict[str, WakeUp] | None = None

    def start(self, now: float) -> None:
        """Asks everybody who can be asked at once."""
        room, request = self._room, self.request
        groups = request.groups or ()
        if len(groups) == 1 and len(groups[0]) == 1:
            self._plan(groups[0][0])
        else:
            for group in groups:
                for target in group:
                    self._plan(target)
        copies = self._copies
        if not copies:
            self._keep(now)
            return
        room.timers.after(room.moment, now, self.late)
        self._left = len(copies)
        for copy in copies:
            copy.start(now)

    def adopt(self, device: str, target: Target) -> Branch:
        """Its only copy, which has left already: the branch of that."""
        copy = Copy(self.request, device, target, self._room.ask, self._room.avoid, self._told)
        branch = copy.branch = Branch(copy, target)
        self._copies.append(copy)
        self._left = 1
        return branch

    @property
    def only(self) -> Branch:
        """What `adopt` made."""
        branch = self._copies[0].branch
        assert branch is not None, "it has left"
        return branch

    def _plan(self, target: Target) -> None:
        """A copy for a device, unless it sleeps or must have older messages first."""
        binding = target.binding
        if binding is None:
            return
        device = device_of(binding)
        room = self._room
        way: Target | None = target
        if room.behind_others(self.request, device, binding):
            way = None
        while way is not None and room.gone(way):
            way = way.alternative
        if way is not None:
            if not any(copy.device == device for copy in self._copies):
                self._copies.append(Copy(self.request, device, way, room.ask, room.avoid, self._told))
        else:
            if self._asleep is None:
                self._asleep = {}
            self._asleep[device] = binding

    # -- from copies and timers

    def _told(self, copy: Copy, status: int, response: Message | None, now: float) -> None:
        self._left -= 1
        if 200 <= status < 300 and self._accepted is None:
            self._accepted = response
            if self._state == OPEN and self._asleep is None and len(self._copies) == 1:
                self._done(now)  # the way of nearly every message
                return
        resolved = closes(status, response)
        if resolved:
            if self._resolved is None:
                self._resolved = []
            self._resolved.append((copy, status))
            if status >= 300 and response is not None:
                self._refusals = [*(self._refusals or ()), response]
        if self._pending is not None:
            self._ended(copy, status, resolved, now)
        self._settle(now)

    def late(self, now: float) -> None:
        """Its moment is over: who has not answered by now may be asleep."""
        if self._state == OPEN:
            self._keep(now)
        if not self._answered:
            self._room.timers.after(self._room.patience, now, self._waited)

    def _waited(self, now: float) -> None:
        if not self._answered:
            self._enough = True
            self._settle(now)

    # -- what is to be done

    def _settle(self, now: float) -> None:
        state = self._state
        if self._answered or state in (TURN, STORING):
            return
        if state == OPEN:
            if self._accepted is not None and not self._missing():
                self._done(now)
            elif not self._left:
                self._keep(now)
        elif self._accepted is not None or not self._left or self._enough:
            self._answer(now)

    def _missing(self) -> tuple[str, ...]:
        """Devices that are to be told later. One without a name cannot be known again: what only such devices
        have missed waits for anybody, until somebody has it."""
        named = []
        anybody = not self.request.groups
        resolved = {copy.device for copy, _ in self._resolved or ()}
        for device, binding in (*(self._asleep or {}).items(), *map(_who, self._copies)):
            if device in resolved:
                continue
            if is_named(binding):
                named.append(device)
            else:
                anybody = True
        if named:
            return tuple(dict.fromkeys(named))
        return (ANYBODY,) if anybody and self._accepted is None else ()

    def _keep(self, now: float) -> None:
        """Stores it for everybody who is missing, when those that came before it are stored."""
        self._state = TURN
        if self.ahead is None:
            self.turn(now)
            self._room.turns.leave(self, now)

    @property
    def waits_for_turn(self) -> bool:
        """It is to be stored, and would be if nothing were ahead of it."""
        return self._state == TURN

    def turn(self, now: float) -> None:
        """Nothing is ahead of it."""
        owed = self._owed = self._missing()
        if not owed:
            self._state = DONE
            self._answer(now)
            return
        room = self._room
        if len(self.request.message.raw) > room.settings.max_size:
            self._lost("max_size", now)
            return
        self._pending = pending = room.pending(self.request)
        for copy in self._copies:
            if not copy.status:
                room.under_way.add(pending.aor, pending.id, copy)
        self._submit(pending)

    def _submit(self, pending: Pending) -> None:
        room, resolved = self._room, self._resolved or ()
        self._state = STORING
        self._at_submit = len(resolved)
        others = room.not_for(self.request)
        room.storing(pending.aor, 1)
        room.store.store(pending, self._owed, (*(copy.device for copy, _ in resolved), *others), self._stored)

    def _stored(self, outcome: Stored | StoreUnavailable) -> None:
        room, pending = self._room, self._pending
        assert pending is not None, "something was stored"
        now = room.clock()
        room.storing(pending.aor, -1)
        if isinstance(outcome, StoreUnavailable):
            if self._answered:
                self._state = LOST
                room.timers.after(ONCE_MORE, now, self._once_more)
            else:
                self._lost("redis", now)
            return
        room.later -= self._answered
        if outcome.refused:
            self._lost(f"max_{'per_user' if outcome.refused == 'full' else outcome.refused}", now)
        else:
            self._state = STORED
            for copy, status in (self._resolved or [])[self._at_submit :]:
                self._confirm(copy.device, status)
            self._wake(pending, outcome.first, now)
            room.drains.look(pending.aor, now)
            self._settle(now)

    def _lost(self, reason: str, now: float) -> None:
        self._state = LOST
        self._reason = reason
        if reason != "redis":
            self._give_up()
        self._settle(now)

    def _give_up(self) -> None:
        self._forget()
        self._room.not_kept(self.request, self._owed, self._reason)

    def _forget(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            for copy in self._copies:
                self._room.under_way.remove(pending.aor, pending.id, copy)

    # -- a device has it, and Redis was away

    def _later(self, now: float) -> None:
        """The sender is content; the other devices are owed it all the same."""
        room = self._room
        if room.later >= MOST_LATER:
            self._give_up()
            return
        room.later += 1
        self._until = now + GIVEN_UP
        room.timers.after(ONCE_MORE, now, self._once_more)

    def _once_more(self, now: float) -> None:
        owed, pending = self._missing(), self._pending
        if owed and pending is not None and now < self._until:
            self._owed = owed
            self._submit(pending)
            return
        self._room.later -= 1
        if owed:
            self._give_up()
        else:
            self._forget()

    # -- after it is stored

    def _ended(self, copy: Copy, status: int, resolved: bool, now: float) -> None:
        """A copy that was open when it was stored."""
        room, pending = self._room, self._pending
        assert pending is not None, "only called then"
        room.under_way.remove(pending.aor, pending.id, copy)
        if self._state != STORED:
            return
        wake_up = self._wake_ups.pop(copy.device, None) if self._wake_ups else None
        if resolved:
            if wake_up is not None:
                wake_up.answered(status)
            self._confirm(copy.device, status)
        elif wake_up is not None:
            wake_up.send(now)
        if resolved or status == FLOW_GONE:
            room.drains.look(pending.aor, now)

    def _confirm(self, device: str, status: int) -> None:
        pending = self._pending
        assert pending is not None, "only what is stored is confirmed"
        owed = Owed(pending, device)
        self._room.drains.marks.confirm(owed, pending.aor, status)
        self._room.drains.told(owed, status)

    def _wake(self, pending: Pending, first: tuple[str, ...], now: float) -> None:
        wake_ups = self._room.wake_ups
        if wake_ups is None or not pending.kind:
            return
        wanted = first if self._room.settings.wake == "first" else self._owed
        devices = {device: (binding, True) for device, binding in (self._asleep or {}).items()}
        for copy in self._copies:
            device, binding = _who(copy)
            devices[device] = (binding, copy.status != 0 or self._room.gone(copy.target))
        resolved = {copy.device for copy, _ in self._resolved or ()}
        for device in wanted:
            known = devices.get(device)
            if known is None or device in resolved:
                continue
            binding, gone = known
            message = self.request.message
            wake_up = wake_ups.wake(message, pending.aor, binding, gone, pending.expires_at, now)
            if wake_up is not None and not gone:
                if self._wake_ups is None:
                    self._wake_ups = {}
                self._wake_ups[device] = wake_up

    # -- the answer

    def _done(self, now: float) -> None:
        """It need not be stored."""
        self._state = DONE
        self._answer(now)
        self._room.turns.leave(self, now)

    def _answer(self, now: float) -> None:
        if self._answered:
            return
        self._answered = True
        room, request = self._room, self.request
        room.open.count -= 1
        message = self._accepted
        if message is None and self._state == DONE and self._refusals:
            message = self._refusals[best([refusal.status for refusal in self._refusals])]
        server = request.server
        if message is not None and server is not None:
            server.respond(message.status, message.pop_via(), now)
        elif self._state == STORED:
            request.reply(202, now)
        else:
            room.refuse(request, self._reason, now)
        if self._state == LOST and self._reason == "redis":
            if message is None:
                self._give_up()
            else:
                self._later(now)


def is_named(binding: Binding) -> bool:
    """Whether its device is known again when it comes back."""
    return bool(binding.instance or binding.prid)


def _who(copy: Copy) -> tuple[str, Binding]:
    binding = copy.target.binding
    assert binding is not None, "copies go to bindings"
    return copy.device, binding
