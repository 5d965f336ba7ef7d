"""When connections run out of time, to the second: buckets swept once a second, not a timer for each."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

INTERVAL: Final = 1.0  # seconds


class Timed(Protocol):
    """What has at most one deadline at a time."""

    bucket: int  # the second in which it is due, 0 for none; kept by Deadlines

    def expire(self, now: float) -> float | None:
        """A deadline passed: the next one, in the loop's seconds, or None."""


class Deadlines:
    """Calls ``expire`` within a second after a deadline. ``now`` is the loop's time at the last sweep."""

    __slots__ = ("_buckets", "_loop", "_swept", "_timer", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self.now = loop.time()
        self._swept = int(self.now)
        self._buckets: dict[int, dict[Timed, None]] = {}

    def start(self) -> None:
        """Sweep from now on."""
        self._timer = self._loop.call_later(INTERVAL, self._tick)

    def stop(self) -> None:
        """No more sweeps."""
        if self._timer is not None:
            self._timer.cancel()

    def put(self, subject: Timed, due: float) -> None:
        """Replace the deadline of a subject."""
        self.discard(subject)
        subject.bucket = max(int(due) + 1, self._swept + 1)
        self._buckets.setdefault(subject.bucket, {})[subject] = None

    def put_earlier(self, subject: Timed, due: float) -> None:
        """Set a deadline if the subject has none, or a later one."""
        if not subject.bucket or int(due) + 1 < subject.bucket:
            self.put(subject, due)

    def discard(self, subject: Timed) -> None:
        """Forget the deadline of a subject, if it has one."""
        if subject.bucket:
            bucket = self._buckets.get(subject.bucket)
            if bucket is not None:
                bucket.pop(subject, None)
                if not bucket:
                    del self._buckets[subject.bucket]
            subject.bucket = 0

    def sweep(self, now: float) -> None:
        """Everything due at ``now`` expires."""
        self.now = now
        for second in range(self._swept + 1, int(now) + 1):
            self._swept = second
            for subject in self._buckets.pop(second, ()):
                subject.bucket = 0
                due = subject.expire(now)
                if due is not None:
                    self.put(subject, due)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._tick)
        self.sweep(self._loop.time())
