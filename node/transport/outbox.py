"""Output is collected and written once: after each read batch, or at the end of the loop iteration."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Sink(Protocol):
    """What holds queued output: one UDP socket or one connection."""

    def flush(self) -> None:
        """Write what is queued; never raises."""


class Outbox:
    """The sinks that have something to write. A sink adds itself when its queue was empty."""

    __slots__ = ("_loop", "_scheduled", "_sinks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sinks: list[Sink] = []
        self._scheduled = False

    def add(self, sink: Sink) -> None:
        """Have ``sink.flush()`` called when the running batch or this loop iteration ends."""
        self._sinks.append(sink)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def hold(self) -> None:
        """A read batch begins: its end will call ``flush``."""
        self._scheduled = True

    def flush(self) -> None:
        """Write everything now."""
        self._scheduled = False
        if self._sinks:
            sinks, self._sinks = self._sinks, []
            for sink in sinks:
                sink.flush()
