"""Between those who hold pushes (dispatchers, the watch) and the sender: what waits for room in a lane.

A lane gets few more than it can have under way, and a push counts until it is confirmed: so whoever has to
stop has little in flight that is sent again. The rest waits here, each lane for itself, and every push is
asked for its right to be sent at the last moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from cluster.push.providers.provider import Answer
from cluster.push.push import Push

Lane = tuple[str, str]  # provider and app


class Sender(Protocol):
    """What is needed of `cluster.push.sender.Sender`."""

    def room(self, push: Push) -> bool: ...

    def submit(
        self,
        push: Push,
        done: Callable[[Push, Answer, int], None],
        still_wanted: Callable[[Push], Awaitable[bool]] | None = None,
    ) -> bool: ...


class Holder(Protocol):
    """In whose name a push is sent."""

    @property
    def who(self) -> str:
        """As claims in Redis say it."""

    def may_send(self, item: Item) -> bool:
        """Whether nobody else can have the push by now."""

    def lost(self, item: Item) -> None:
        """It may not be sent any more."""

    def room(self) -> None:
        """A lane that refused something of this holder takes more now."""

    def confirmed(self, item: Item) -> None:
        """It is out of the queue, by whomever."""

    def outdone(self, fence: int) -> None:
        """Redis knows a greater fence."""

    async def wanted(self, item: Item) -> bool:
        """Whether it is still to be sent; asked before it is tried again."""


class Item:
    """A push that this node has claimed."""

    __slots__ = ("dropped", "entry", "fence", "holder", "partition", "push", "since", "slot", "tries")

    def __init__(self, push: Push, entry: bytes, partition: int, holder: Holder, since: float = 0.0) -> None:
        self.push = push
        self.entry = entry
        self.partition = partition
        self.holder = holder
        self.since = since  # monotonic: when a seized one was claimed
        self.fence = 0  # of the term in which it was claimed, where it was
        self.dropped = False
        self.slot = False  # it has a place in its lane
        self.tries = 0  # confirmations


class _Queue:
    """What waits for one lane."""

    __slots__ = ("pumping", "refused", "under_way", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Item] = deque()
        self.refused: set[Holder] = set()
        self.under_way = 0
        self.pumping = False


class Feed:
    """`finished(item, answer, attempts)` is called once for each item that was sent, or too late for it."""

    def __init__(
        self,
        sender: Sender,
        now_ms: Callable[[], int],
        finished: Callable[[Item, Answer, int], None],
        waiting: int = 1000,
        under_way: int = 200,
    ) -> None:
        """Each lane has at most so many waiting here, and so many handed to the sender."""
        self._sender = sender
        self._now_ms = now_ms
        self._finished = finished
        self._limit = waiting
        self._depth = under_way
        self._lanes: dict[Lane, _Queue] = {}
        self._under_way: dict[str, Item] = {}
        self._waiting: dict[str, Item] = {}

    def __len__(self) -> int:
        return len(self._under_way) + len(self._waiting)

    def has(self, identity: str) -> bool:
        return identity in self._under_way or identity in self._waiting

    def offer(self, item: Item) -> bool:
        """Send it when there is room. False: too many wait for its lane; `holder.room()` is called later."""
        push = item.push
        lane = self._lanes.get((push.provider, push.app))
        if lane is None:
            lane = self._lanes[(push.provider, push.app)] = _Queue()
        if len(lane.waiting) >= self._limit:
            lane.refused.add(item.holder)
            return False
        lane.waiting.append(item)
        self._waiting[push.id] = item
        self._pump(lane)
        return True

    def withdraw(self, identity: str) -> Item | None:
        """The item, if it was still waiting; it is not sent any more."""
        item = self._waiting.pop(identity, None)
        if item is not None:
            item.dropped = True
        return item

    def drop(self, holder: Holder) -> list[Item]:
        """Take everything back that waits in that name."""
        taken = [item for item in self._waiting.values() if item.holder is holder]
        for item in taken:
            item.dropped = True
            del self._waiting[item.push.id]
        for lane in self._lanes.values():
            if not lane.pumping:
                lane.waiting = deque(item for item in lane.waiting if not item.dropped)
        return taken

    def settled(self, item: Item) -> None:
        """It is confirmed: another may take its place."""
        if item.slot:
            item.slot = False
            lane = self._lanes[(item.push.provider, item.push.app)]
            lane.under_way -= 1
            if lane.waiting or lane.refused:
                self._pump(lane)

    def tend(self) -> None:
        """Once a second or so: what expired leaves, lanes that were freed by others go on, idle ones go."""
        for name, lane in tuple(self._lanes.items()):
            self._pump(lane)
            if not lane.waiting and not lane.under_way and not lane.refused:
                del self._lanes[name]

    def _pump(self, lane: _Queue) -> None:
        if lane.pumping:
            return
        lane.pumping = True
        waiting = lane.waiting
        while waiting:
            item = waiting[0]
            if not item.dropped and not self._next(lane, item):
                break
            waiting.popleft()
        lane.pumping = False
        if lane.refused and len(waiting) <= self._limit // 4:
            refused, lane.refused = lane.refused, set()
            for holder in refused:
                holder.room()

    def _next(self, lane: _Queue, item: Item) -> bool:
        """Whether this one needs to wait no longer."""
        push = item.push
        if push.expires_at <= self._now_ms():
            del self._waiting[push.id]
            self._finished(item, Answer("expired", 0, "its time was over while it waited"), 0)
            return True
        if not item.holder.may_send(item):
            del self._waiting[push.id]
            item.holder.lost(item)
            return True
        if lane.under_way >= self._depth or not self._sender.room(push):
            return False
        lane.under_way += 1
        item.slot = True
        del self._waiting[push.id]
        self._under_way[push.id] = item
        if self._sender.submit(push, self._done, self._wanted):
            return True
        lane.under_way -= 1
        item.slot = False
        del self._under_way[push.id]
        self._waiting[push.id] = item
        return False

    def _done(self, push: Push, answer: Answer, attempts: int) -> None:
        item = self._under_way.pop(push.id)
        lane = self._lanes[(push.provider, push.app)]
        self._finished(item, answer, attempts)
        if lane.waiting or lane.refused:
            self._pump(lane)

    async def _wanted(self, push: Push) -> bool:
        item = self._under_way.get(push.id)
        return item is not None and await item.holder.wanted(item)
