"""What this node queued is sent, dispatcher or not: what nobody confirmed in time it seizes and sends itself.

A claim in Redis guards it: a dispatcher that gives signs of life keeps what it has claimed, and among nodes
one wins. A claim of a node lasts ten seconds and is renewed while the push is under way.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from cluster.errors import StoreUnavailable
from cluster.push.feed import Feed, Item
from cluster.push.partition import PARTITIONS, partition_of
from cluster.push.push import Push, decode
from cluster.push.queue import BEGIN, Queue
from cluster.redis.connection import settle

AGAIN, MANY_AGAIN, MANY = 0.3, 1.0, 500  # s after which what another holds is looked at again; where many are
ORPHAN_MS = 5000
_RENEW, _SURE = 3.0, 8.0
_WATCHED = 100_000
_BATCH, _ORPHANS = 200, 100


class Watch:
    """A Holder (feed.py) of what this node has seized."""

    def __init__(
        self, node: str, queue: Queue, feed: Feed, takeover: float, seized: Callable[[int], None]
    ) -> None:
        """`takeover` in s; `seized(count)` is called when this node takes some upon itself."""
        self.who = f"s{node}"
        self.held: dict[str, Item] = {}
        self._node = node
        self._queue = queue
        self._feed = feed
        self._takeover = takeover
        self._silent_ms = int(takeover * 1000)
        self._seized = seized
        self._loop = asyncio.get_running_loop()
        self._mine: dict[str, Push] = {}
        self._first: deque[tuple[float, str]] = deque()
        self._later: deque[tuple[float, str]] = deque()
        self._renewed_at = self._swept_at = self._loop.time()
        self._cursors = [BEGIN] * PARTITIONS

    # -- what this node queued

    def add(self, push: Push) -> None:
        """This node queues it."""
        if len(self._mine) < _WATCHED:
            self._mine[push.id] = push
            self._first.append((self._loop.time() + self._takeover, push.id))

    def forget(self, identity: str) -> None:
        """It is confirmed or withdrawn, or was not queued."""
        self._mine.pop(identity, None)

    def tick(self, now: float, ours: Callable[[int], bool]) -> None:
        """Call it about ten times per second; `ours(partition)`: this node dispatches it."""
        self._look(now)
        if now - self._renewed_at >= _RENEW:
            self._renewed_at = now
            self._ask(list(self.held.values()))
        if now - self._swept_at >= ORPHAN_MS / 1000:
            self._swept_at = now
            for n in range(PARTITIONS):
                if not ours(n):
                    self._queue.due(n, 0, ORPHAN_MS, _ignore)
                    told = functools.partial(self._found, n)
                    self._queue.orphans(n, self._node, ORPHAN_MS, self._cursors[n], _ORPHANS, told)

    def adopt(self, items: Sequence[Item]) -> asyncio.Future[None]:
        """Go on with what a dispatcher of this node has under way, in the name of the node. The future is
        done when Redis knows it, or did not answer."""
        for item in items:
            item.holder = self
            item.since = self._loop.time()
            self.held[item.push.id] = item
        known = self._loop.create_future()
        self._ask(items, known)
        return known

    # -- Holder

    def may_send(self, item: Item) -> bool:
        return self._loop.time() - item.since < _SURE

    def lost(self, item: Item) -> None:
        self.held.pop(item.push.id, None)
        self._look_again(item.push.id)

    def room(self) -> None:
        """What was refused is offered again when it is looked at again."""

    def confirmed(self, item: Item) -> None:
        self.held.pop(item.push.id, None)
        self._mine.pop(item.push.id, None)

    def outdone(self, fence: int) -> None:
        """Only dispatchers have fences."""

    async def wanted(self, item: Item) -> bool:
        answer: asyncio.Future[Any] = self._loop.create_future()
        ids = (item.push.id,)
        self._queue.seize(item.partition, self._node, self._silent_ms, item.fence, ids, settle(answer))
        try:
            return bool((await answer)[0] == item.entry)
        except StoreUnavailable:
            return True

    # -- seizing

    def _look(self, now: float) -> None:
        due: dict[int, list[Push]] = {}
        for line in (self._first, self._later):
            while line and line[0][0] <= now:
                identity = line.popleft()[1]
                push = self._mine.get(identity)
                if push is None:
                    continue
                if self._feed.has(identity) or identity in self.held:
                    self._look_again(identity)
                else:
                    due.setdefault(partition_of(push.token), []).append(push)
        for n, pushes in due.items():
            for start in range(0, len(pushes), _BATCH):
                some = pushes[start : start + _BATCH]
                told = functools.partial(self._told, n, now, some)
                self._queue.seize(n, self._node, self._silent_ms, 0, [push.id for push in some], told)

    def _look_again(self, identity: str) -> None:
        if identity in self._mine:
            pause = AGAIN if len(self._later) < MANY else MANY_AGAIN
            self._later.append((self._loop.time() + pause, identity))

    def _told(self, n: int, asked: float, pushes: list[Push], reply: Any) -> None:
        if isinstance(reply, StoreUnavailable):
            reply = [b"-"] * len(pushes)
        count = 0
        for push, entry in zip(pushes, reply, strict=True):
            if entry == b"":
                self._mine.pop(push.id, None)
                continue
            self._look_again(push.id)
            if entry != b"-" and push.id in self._mine:
                count += self._hold(push, entry, n, asked)
        if count:
            self._seized(count)

    def _hold(self, push: Push, entry: bytes, n: int, asked: float) -> bool:
        if self._feed.has(push.id) or push.id in self.held:
            return False
        item = Item(push, entry, n, self, asked)
        self.held[push.id] = item
        if self._feed.offer(item):
            return True
        del self.held[push.id]
        return False

    def _found(self, n: int, reply: Any) -> None:
        if isinstance(reply, StoreUnavailable):
            return
        self._cursors[n] = reply[0] if reply[1] == _ORPHANS else BEGIN
        asked, count = self._loop.time() - 2.0, 0  # no reply is that old
        for index in range(2, len(reply), 2):
            try:
                push = decode(reply[index + 1])
            except msgspec.MsgspecError:
                continue
            count += self._hold(push, reply[index], n, asked)
        if count:
            self._seized(count)

    def _ask(self, items: Sequence[Item], known: asyncio.Future[None] | None = None) -> None:
        """Renew the claims of these."""
        groups: dict[tuple[int, int], list[Item]] = {}
        for item in items:
            groups.setdefault((item.partition, item.fence), []).append(item)
        left = [len(groups)]
        for (n, fence), group in groups.items():
            ids = [item.push.id for item in group]
            told = functools.partial(self._renewed, self._loop.time(), group, left, known)
            self._queue.seize(n, self._node, self._silent_ms, fence, ids, told)
        if not groups and known is not None:
            known.set_result(None)

    def _renewed(
        self, asked: float, group: list[Item], left: list[int], known: asyncio.Future[None] | None, reply: Any
    ) -> None:
        left[0] -= 1
        if known is not None and not left[0] and not known.done():
            known.set_result(None)
        if isinstance(reply, StoreUnavailable):
            return
        for item, entry in zip(group, reply, strict=True):
            if entry == item.entry:
                item.since = asked
            elif self._feed.withdraw(item.push.id) is not None:
                self.held.pop(item.push.id, None)  # another's, or gone; what is under way ends by itself


def _ignore(_: Any) -> None:
    """Who moves what is due is found by a later look."""
