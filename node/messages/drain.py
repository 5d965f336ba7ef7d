"""Handing out what one address of record is owed, under a claim.

        IDLE ──claim──► CLAIMING ──fence──► HELD ──all lanes done or resting──► RELEASING ──► IDLE
         ▲                 │ another node has it: again when its time is over                  │
         └─────────────────┴──── lost, lapsed or unavailable: again after a while ◄────────────┘

Only a drain that is HELD gives a copy away, and only while by our own clock, started before the store was
asked, the claim cannot have lapsed: a node that was frozen finds out here, not at the phone. What a device
answers is told to the store at once, and its next copy does not wait until the store has it, only until it
has the answer before that: should the node die little is sent again, and a store that is away stops the lane.
Order holds all the same, for one lane has one copy at a time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from cluster.errors import StoreUnavailable
from cluster.messages.pending import ANYBODY
from node.fork.response_context import UNREACHABLE
from node.messages.copy import Copy
from node.messages.lane import NEVER, Lane, closes
from node.messages.marks import TOGETHER
from node.messages.reach import moved
from node.messages.stored import request_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from cluster.location.record import Record
    from cluster.messages.pending import Claimed, Owed
    from node.messages.drains import Drains
    from node.messages.reach import Reach
    from node.sip.codec import Message

IDLE, CLAIMING, HELD, RELEASING = range(4)
UNSURE = TOGETHER + 2  # with so many answers that the store does not have, no further copy leaves
BATCH = 10  # messages of one device that are held here
SURE = 0.95  # of a claim's time: clocks do not run alike
SLACK = 0.1  # seconds that another node's claim has to be over before it is asked for
PAUSE = 1.0  # seconds until a device to which something is on its way otherwise is looked at again


class Drain:
    """One address of record on this node. `again`: somebody asked to look while the store was being asked."""

    __slots__ = ("again", "aor", "busy", "fence", "held_until", "house", "lanes", "record", "state", "taking")

    def __init__(self, aor: str, house: Drains) -> None:
        self.aor = aor
        self.house = house
        self.state = IDLE
        self.fence = 0
        self.held_until = 0.0
        self.lanes: dict[str, Lane] = {}
        self.record: Record | None = None
        self.taking = False
        self.again = False
        self.busy = False  # copies are being started: what becomes of them is looked at afterwards

    @property
    def copies(self) -> int:
        """On their way now."""
        return sum(lane.copy is not None for lane in self.lanes.values())

    # -- what happens

    def seen(
        self, record: Record, reach: dict[str, Reach], now: float, registered: Collection[str] = ()
    ) -> None:
        """What is registered now, and how it can be reached; `registered` are devices that just did."""
        self.record = record
        for device, lane in tuple(self.lanes.items()):
            lane.found(reach.get(device), device in registered)
            self._follow(lane)
            if lane.reach is None and lane.copy is None:
                del self.lanes[device]
        for device, way in reach.items():
            if device not in self.lanes and self._may_be_owed(device, way):
                self.lanes[device] = Lane(device, way)
        self.look(now)

    def look(self, now: float) -> None:
        """There may be something to hand out."""
        self._end_adopted(now)
        others = self._elsewhere()
        for lane in self.lanes.values():
            if lane.device in others:
                lane.pause(PAUSE, now)
            lane.more = lane.reach is not None and self._may_be_owed(lane.device, lane.reach)
        if self.state == IDLE:
            self._claim(now)
        elif self.state == HELD:
            self._go_on(now)
        else:
            self.again = True

    def let_go(self, now: float, at_once: bool) -> None:
        """The node stops: nothing new leaves. With `at_once` copies under way are not waited for either."""
        for lane in self.lanes.values():
            lane.put_down()
        if self.state == IDLE:
            self.house.over(self)
        elif self.state == HELD and (at_once or not self.copies):
            self._release()

    # -- the claim

    def _claim(self, now: float) -> None:
        lanes = self._hungry(now)
        if not lanes:
            self._rest(now)
            return
        self.house.unpark(self)
        self.state = CLAIMING
        self.again = False
        seekers = [lane.seeker for lane in lanes]
        self.house.store.claim(self.aor, seekers, BATCH, partial(self._claimed, lanes, now))

    def _claimed(self, lanes: list[Lane], started: float, claimed: Claimed | StoreUnavailable) -> None:
        now = self.house.clock()
        self.state = IDLE
        if isinstance(claimed, StoreUnavailable):
            self._wait(self.house.claim_time, now)
        elif claimed.fence:
            self.state = HELD
            self.fence = claimed.fence
            self._sure_since(started)
            self.house.extends.restart(self, now, self._extend)
            self._hand_out(lanes, claimed, now)
            if self.again:
                self.look(now)
            else:
                self._go_on(now)
        elif self.again:
            self._claim(now)
        elif claimed.left_ms:
            self._wait(claimed.left_ms / 1000 + SLACK, now)
        else:
            for lane in lanes:
                lane.more = False
            self._rest(now)

    def _take(self, lanes: list[Lane], now: float) -> None:
        self.house.marks.flush(self.aor)
        self.taking = True
        self.again = False
        took = partial(self._took, lanes, self.fence, now)
        self.house.store.claim(self.aor, [lane.seeker for lane in lanes], BATCH, took, self.fence)

    def _took(
        self, lanes: list[Lane], fence: int, started: float, claimed: Claimed | StoreUnavailable
    ) -> None:
        if fence != self.fence or self.state != HELD:
            return
        now = self.house.clock()
        self.taking = False
        if isinstance(claimed, StoreUnavailable):
            self._lose(self.house.claim_time, now)
            return
        if not claimed.fence:
            self._lose(claimed.left_ms / 1000 + SLACK, now)
            return
        self._sure_since(started)
        self._hand_out(lanes, claimed, now)
        self._go_on(now)

    def _extend(self, now: float) -> None:
        if self.state != HELD:
            return
        if now >= self.held_until:
            self._lose(self.house.claim_time, now)
            return
        if self._end_adopted(now):
            self._go_on(now)
            if self.state != HELD:
                return
        self.house.extends.restart(self, now, self._extend)
        self.house.store.extend(self.aor, self.fence, partial(self._extended, self.fence, now))
        self.house.refresh(self, now)

    def _extended(self, fence: int, started: float, held: bool | StoreUnavailable) -> None:
        if fence != self.fence or self.state != HELD:
            return
        if held is True:
            self._sure_since(started)
        elif held is False:
            self._lose(self.house.claim_time, self.house.clock())

    def _sure_since(self, started: float) -> None:
        self.held_until = max(self.held_until, started + SURE * self.house.claim_time)

    def _lose(self, delay: float, now: float) -> None:
        """The claim is another's, or may be: what is on its way ends by itself, and in `delay` seconds the
        store is asked again."""
        self.house.lost += 1
        self.house.marks.flush(self.aor)
        self._end_claim()
        self.state = IDLE
        for lane in self.lanes.values():
            lane.put_down()
        self._wait(delay, now)

    def _release(self) -> None:
        self.house.marks.flush(self.aor)
        fence = self.fence
        self._end_claim()
        self.state = RELEASING
        self.again = False
        self.house.store.release(self.aor, fence, self._released)

    def _released(self, again: bool | StoreUnavailable) -> None:
        now = self.house.clock()
        self.state = IDLE
        if self.house.closing:
            self.house.over(self)
        elif isinstance(again, StoreUnavailable):
            self._wait(self.house.claim_time, now)
        elif again or self.again:
            self.house.look_at(self, now)
        else:
            self._rest(now)

    def _end_claim(self) -> None:
        self.fence = 0
        self.held_until = 0.0
        self.taking = False
        self.house.extends.stop(self)

    # -- the lanes

    def _may_be_owed(self, device: str, reach: Reach) -> bool:
        messages = self.record.messages if self.record is not None else {}
        if not messages:
            return False
        return (reach.named and messages.get(device, True)) or messages.get(ANYBODY, False)

    def _elsewhere(self) -> set[str]:
        """Devices that a copy is on its way to that is not of this drain: what they are owed came later. One
        to a flow that its phone has left holds nothing up."""
        own, record = {lane.copy for lane in self.lanes.values()}, self.record
        copies = (copy for copy in self.house.under_way.open(self.aor) if copy not in own)
        return {copy.device for copy in copies if record is None or not moved(copy, record)}

    def _follow(self, lane: Lane) -> None:
        """Its phone may have left the flow of the copy on its way. The store says first whether it is still
        owed that: the node that was first to ask may have had its answer meanwhile."""
        if lane.copy is not None and self.record is not None and moved(lane.copy, self.record):
            lane.copy = lane.owed = None
            lane.put_down()

    def _hungry(self, now: float) -> list[Lane]:
        """Lanes that could hand out more than they hold."""
        return [lane for lane in self.lanes.values() if lane.more and not lane.waiting and lane.open(now)]

    def _hand_out(self, lanes: list[Lane], claimed: Claimed, now: float) -> None:
        owed: dict[str, list[Owed]] = {}
        for one in claimed.owed:
            owed.setdefault(one.device, []).append(one)
        for lane in lanes:
            if lane.reach is None or lane.copy is not None:
                continue
            found = owed.get(lane.device, ())
            lane.taken([one for one in found if not self.house.marks.known(one, self.aor)], claimed.more)
            if not lane.waiting and (found or (claimed.more and not owed)):
                lane.pause(PAUSE, now)  # there is something, of which the store does not know what we know

    def _go_on(self, now: float) -> None:
        """Gives each lane its next message, takes more, or releases what is done."""
        if self.busy:
            return
        if now >= self.held_until:
            self._lose(self.house.claim_time, now)
            return
        if self.house.closing:
            if not self.copies:
                self._release()
            return
        self.busy = True
        for lane in tuple(self.lanes.values()):
            while lane.waiting and lane.marks < UNSURE and lane.open(now):
                self._send(lane, lane.waiting.popleft(), now)
        self.busy = False
        hungry = self._hungry(now)
        if hungry:
            if not self.taking:
                self._take(hungry, now)
        elif not self.taking and not any(lane.working for lane in self.lanes.values()):
            self._release()

    def _send(self, lane: Lane, owed: Owed, now: float) -> None:
        house, pending = self.house, owed.pending
        if pending.expires_at <= house.now_ms():
            lane.more = bool(lane.waiting)  # what the store still has beside expired ones waits for a look
            return
        assert lane.reach is not None, "only an open lane is given a message"
        other = house.under_way.get(self.aor, pending.id, lane.device)
        if other is not None:
            if self.record is not None and moved(other, self.record):
                lane.copy, lane.owed = other, owed  # the claim is kept until it has ended
                other.moved(lane.reach.target, now)
            else:
                lane.pause(PAUSE, now)
            return
        request = request_of(pending.request)
        copy = Copy(
            request, lane.device, lane.reach.target, house.ask, house.avoid, partial(self._told, owed)
        )
        lane.copy, lane.owed = copy, owed
        house.under_way.add(self.aor, pending.id, copy)
        copy.start(now)

    def _end_adopted(self, now: float) -> bool:
        """Copies that others sent and taken along to a new flow: the others tell what became of them. Whether
        there was one."""
        ended = False
        for lane in self.lanes.values():
            copy = lane.copy
            if copy is not None and copy.status:
                ended = True
                lane.copy = lane.owed = None
                if copy.status in UNREACHABLE:
                    lane.rest(copy.status, None, self.house.retry, now)
        return ended

    def _told(self, owed: Owed, copy: Copy, status: int, response: Message | None, now: float) -> None:
        """What became of a copy."""
        house, lane = self.house, self.lanes.get(copy.device)
        house.under_way.remove(self.aor, owed.pending.id, copy)
        if lane is None or lane.copy is not copy:
            if closes(status, response):
                house.marks.confirm(owed, self.aor, status)
                house.told(owed, status)
            if self.state == IDLE:
                house.look_at(self, now)
            return
        lane.copy = lane.owed = None
        if closes(status, response):
            lane.tries = 0
            lane.marks += 1
            if house.marks.collect(owed, self.aor, status, partial(self._marked, lane)):
                house.flush_soon(self.aor, now)
            house.told(owed, status)
        else:
            house.marks.flush(self.aor)
            house.marks.note(owed, self.aor, status)
            lane.rest(status, response, house.retry, now)
        if self.state == HELD:
            self._go_on(now)
            return
        house.marks.flush(self.aor)
        if self.state == IDLE:
            house.look_at(self, now)

    def _marked(self, lane: Lane) -> None:
        """The store has an answer of this device."""
        lane.marks -= 1
        if self.state == HELD and lane.waiting and lane.copy is None:
            self._go_on(self.house.clock())

    # -- the time in between

    def _wait(self, delay: float, now: float) -> None:
        if self.house.closing:
            self.house.over(self)
        else:
            self.house.park(self, now + delay)

    def _rest(self, now: float) -> None:
        """Nothing can be handed out now: until a lane has rested, or for good."""
        due = min((lane.rest_until for lane in self.lanes.values() if lane.rest_until > now), default=NEVER)
        if due < NEVER and not self.house.closing:
            self.house.park(self, due)
        elif not self.copies:
            self.house.over(self)
