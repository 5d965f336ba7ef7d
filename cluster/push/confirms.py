"""Takes what is done out of the queue: one script a partition for all that ends within `LINGER` seconds.

Nobody waits for it, and each message to Redis costs more than what it says. Should this node die meanwhile,
what was sent in these milliseconds is sent again.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.push.feed import Item
from cluster.push.providers.provider import Answer
from cluster.push.queue import Queue
from cluster.redis.link import Word

LINGER = 0.02
_MOST = 500  # in one script
_TRIES = 3
_KEPT = 20_000  # while Redis is away; who is forgotten then is sent again

Finished = tuple[Item, Answer]


class Confirms:
    """`confirmed(item, answer, first)`; `first` is false where another had confirmed or withdrawn it."""

    def __init__(self, queue: Queue, confirmed: Callable[[Item, Answer, bool], None]) -> None:
        self._queue = queue
        self._confirmed = confirmed
        self._loop = asyncio.get_running_loop()
        self._new: list[Finished] = []
        self._again: list[Finished] = []
        self._asked = 0

    @property
    def idle(self) -> bool:
        return not (self._new or self._again or self._asked)

    def add(self, item: Item, answer: Answer) -> None:
        if not self._new:
            self._loop.call_later(LINGER, self._flush)
        self._new.append((item, answer))

    def retry(self) -> None:
        """Ask again what Redis did not answer; call it now and then."""
        again, self._again = self._again, []
        if again:
            if not self._new:
                self._loop.call_later(LINGER, self._flush)
            self._new += again

    def _flush(self) -> None:
        finished, self._new = self._new, []
        groups: dict[tuple[int, str], list[Finished]] = {}
        for pair in finished:
            item = pair[0]
            groups.setdefault((item.partition, item.holder.who), []).append(pair)
        for (partition, who), group in groups.items():
            for start in range(0, len(group), _MOST):
                some = group[start : start + _MOST]
                words: list[Word] = []
                for item, _ in some:
                    words += (item.entry, item.push.id)
                self._asked += 1
                self._queue.confirm(partition, who, words, functools.partial(self._told, who, some))

    def _told(self, who: str, group: list[Finished], reply: Any) -> None:
        self._asked -= 1
        if isinstance(reply, StoreUnavailable):
            room = max(0, _KEPT - len(self._again))
            self._again += group[:room]
            for item, answer in group[room:]:
                item.holder.confirmed(item)
                self._confirmed(item, answer, False)
            return
        if isinstance(reply, int):
            for item, _ in group:
                if item.holder.who == who:
                    item.holder.outdone(reply)
            reply = [0] * len(group)
        for (item, answer), flag in zip(group, reply, strict=True):
            if not flag and item.holder.who != who:
                self.add(item, answer)  # it changed hands meanwhile: ask in the name of the present holder
                continue
            if flag < 0 and item.tries < _TRIES:
                item.tries += 1  # our claim may be on its way: a script that is new to Redis comes later
                self._again.append((item, answer))
                continue
            item.holder.confirmed(item)
            self._confirmed(item, answer, flag == 1)
