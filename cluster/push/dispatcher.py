"""The dispatcher of one partition, for one term.

It begins with everything that nobody has confirmed, whoever had claimed it, then takes what is new when it is
poked. It may send as long as its lease is sure and its last sign of life is young: were it older, others may
have seized what it holds (see watch.py), and it takes anew what is still its own.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import msgspec

from cluster.election.term import Term
from cluster.errors import StoreUnavailable
from cluster.push.feed import Feed, Item
from cluster.push.push import decode
from cluster.push.queue import BEGIN, Queue
from cluster.redis.connection import settle

COUNT = 200
BUSY, IDLE, SWEEP = 0.3, 1.0, 5.0  # s between signs of life, and between looks at everything
_ABSENT = 0.8  # of the takeover: left for a sign of life on its way


class Dispatcher:
    """A Holder (feed.py) of what it has taken. Make it in the running loop; it starts at once."""

    def __init__(
        self,
        term: Term,
        node: str,
        queue: Queue,
        feed: Feed,
        takeover: float,
        now_ms: Callable[[], int],
        outdone: Callable[[Term, int], None],
    ) -> None:
        """`outdone(term, fence)` is called when Redis knows a greater fence."""
        self.term = term
        self.who = f"d{term.fence}"
        self.held: dict[str, Item] = {}
        self._node = node
        self._queue = queue
        self._feed = feed
        self._takeover = takeover
        self._now_ms = now_ms
        self._outdone = outdone
        self._loop = asyncio.get_running_loop()
        self._cursor = self._seen = self._newest = BEGIN
        self._rewind = False
        self._again = True  # this pass is also given what the term has claimed already
        self._taking = self._soon = self._poked = False
        self._alive_at = self._asked_at = 0.0
        self._swept_at = self._loop.time()
        self._due_at = -1
        self._stopped = False
        self.poke()

    # -- work

    def poke(self) -> None:
        """There may be something new."""
        if self._taking:
            self._poked = True
        elif not self._soon and not self._stopped:
            self._soon = True
            self._loop.call_soon(self._take)

    def queued(self, entry: bytes) -> None:
        """Redis has it now. What was asked behind it has found it, unless the script was new."""
        if self._taking or self._soon:
            self._newest = entry
        elif _later(entry, self._seen):
            self.poke()

    def tick(self, now: float) -> None:
        """Call it about ten times per second, with the loop's time."""
        if not self.term.sure:
            return
        if now - self._swept_at >= SWEEP:
            self._swept_at = now
            self._cursor = BEGIN
            self.poke()
        elif self._rewind:
            self.poke()
        if now - self._asked_at >= (BUSY if self.held else IDLE):
            self._asked_at = now
            told = functools.partial(self._lived, now)
            self._queue.alive(self.term.partition, self.term.fence, self._node, (), told)
        if 0 <= self._due_at <= self._now_ms():
            self._due_at = -1
            self._queue.due(self.term.partition, self.term.fence, 0, self._moved)

    def remind(self, due_ms: int) -> None:
        """A delayed push is due then."""
        self._due_at = due_ms if self._due_at < 0 else min(self._due_at, due_ms)

    def stop(self) -> tuple[list[Item], list[Item]]:
        """Take nothing more, begin nothing more. Returns what was not begun, and what is under way."""
        self._stopped = self.term.ended = True
        waiting = self._feed.drop(self)
        for item in waiting:
            self.held.pop(item.push.id, None)
        under_way, self.held = list(self.held.values()), {}
        return waiting, under_way

    # -- Holder

    def may_send(self, item: Item) -> bool:
        return self.term.sure and self._loop.time() - self._alive_at < self._takeover * _ABSENT

    def lost(self, item: Item) -> None:
        self.held.pop(item.push.id, None)
        self._rewind = True

    def room(self) -> None:
        self._rewind = True
        self.poke()

    def confirmed(self, item: Item) -> None:
        self.held.pop(item.push.id, None)

    def outdone(self, fence: int) -> None:
        if not self._stopped:
            self._outdone(self.term, fence)

    async def wanted(self, item: Item) -> bool:
        if not self.term.sure:
            return False
        answer: asyncio.Future[Any] = self._loop.create_future()
        term = self.term
        self._queue.alive(term.partition, term.fence, self._node, (item.entry,), settle(answer))
        try:
            reply = await answer
        except StoreUnavailable:
            return True  # it did not reach the phone yet, and nothing says that it need not
        return not isinstance(reply, int) and reply[2] == 1

    # -- replies

    def _take(self) -> None:
        self._soon = False
        if self._stopped or not self.term.sure:
            return
        if self._rewind:
            self._rewind, self._again, self._cursor = False, True, BEGIN
        self._taking, self._poked = True, False
        term, told = self.term, functools.partial(self._took, self._loop.time())
        self._queue.take(term.partition, term.fence, self._node, self._cursor, COUNT, self._again, told)

    def _took(self, asked: float, reply: Any) -> None:
        self._taking = False
        if self._stopped:
            self._decline(reply)
            return
        if isinstance(reply, StoreUnavailable):
            self._rewind = True  # it may have been claimed all the same
            return
        if isinstance(reply, int):
            self.outdone(reply)
            return
        self._live(asked, reply[0])
        looked = reply[2]
        if looked:
            self._cursor = reply[1]
            if _later(self._cursor, self._seen):
                self._seen = self._cursor
        for index in range(3, len(reply), 2):
            self._hold(reply[index], reply[index + 1])
        if looked == COUNT:
            self.poke()
        else:
            self._again = False
            if self._poked or _later(self._newest, self._seen):
                self.poke()
            self._newest = BEGIN

    def _decline(self, reply: Any) -> None:
        """What comes too late is given back."""
        if isinstance(reply, list) and len(reply) > 3:
            self._queue.release(self.term.partition, self.who, reply[3::2], _ignore)

    def _hold(self, entry: bytes, payload: bytes) -> None:
        try:
            push = decode(payload)
        except msgspec.MsgspecError:
            return  # of a later version: a node that knows it will take it
        if push.id in self.held or self._feed.has(push.id):
            return
        item = Item(push, entry, self.term.partition, self)
        item.fence = self.term.fence
        self.held[push.id] = item
        if not self._feed.offer(item):
            del self.held[push.id]  # its lane is full; `room` comes when it is not any more

    def _lived(self, asked: float, reply: Any) -> None:
        if self._stopped or isinstance(reply, StoreUnavailable):
            return
        if isinstance(reply, int):
            self.outdone(reply)
            return
        self._live(asked, reply[0])
        if reply[1] >= 0:
            self.remind(reply[1])

    def _live(self, asked: float, gap_ms: int) -> None:
        self._alive_at = max(self._alive_at, asked)
        if gap_ms > self._takeover * 1000 and self.held:
            for item in self._feed.drop(self):
                self.held.pop(item.push.id, None)
            self._rewind = True
            self.poke()

    def _moved(self, reply: Any) -> None:
        if isinstance(reply, int) and reply > 0 and not self._stopped:
            self.poke()


def _later(entry: bytes, other: bytes) -> bool:
    """Whether an entry id is greater than another."""
    if entry == other:
        return False
    ms, _, number = entry.partition(b"-")
    other_ms, _, other_number = other.partition(b"-")
    return (int(ms), int(number)) > (int(other_ms), int(other_number))


def _ignore(_: Any) -> None:
    """Who gets no release waits until this dispatcher counts as silent."""
