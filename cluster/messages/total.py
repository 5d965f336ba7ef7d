"""How many messages wait in all queues together: a number in Redis, to which each node adds once a second.

It is near enough for a limit. A node that dies takes what it has not told with it; the collector, which
counts all queues, sets it right.
"""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

from cluster.redis.script import Script
from cluster.redis.store import Store

PERIOD = 1.0  # s
_TOTAL = Script.read(Path(__file__).with_name("total.lua"))


class Total:
    """This node's view of it."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._key = f"{prefix}:messages:total".encode()
        self._loop = asyncio.get_running_loop()
        self._heard = 0
        self._own = 0  # not told yet
        self._asking = 0  # on its way
        self._timer: asyncio.TimerHandle | None = None

    @property
    def value(self) -> int:
        return max(0, self._heard + self._asking + self._own)

    def start(self) -> None:
        self._tick()

    def close(self) -> None:
        """Tell what is left to tell; the answer is nobody's business any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if self._own:
                self.tell()

    def add(self, count: int) -> None:
        self._own += count

    def correct(self, counted: int) -> None:
        """What the collector has found."""
        self._store.submit_script(_TOTAL, self._key, (f"={counted}",), functools.partial(self._told, 0))

    def tell(self) -> None:
        """Tell our own and hear the sum."""
        own, self._own = self._own, 0
        self._asking += own
        self._store.submit_script(_TOTAL, self._key, (own,), functools.partial(self._told, own))

    def _tick(self) -> None:
        self._timer = self._loop.call_later(PERIOD, self._tick)
        self.tell()

    def _told(self, own: int, reply: Any) -> None:
        self._asking -= own
        if isinstance(reply, int):
            self._heard = reply
        else:
            self._own += own  # perhaps it was added: rather too many than too few
