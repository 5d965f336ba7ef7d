"""Takes marks to Redis in their order; what one address of record gets meanwhile goes together.

Redis away: they are kept for `PATIENCE` seconds. A mark that is given up means that its message is delivered
again, which is allowed, and with the same Call-ID, CSeq and Message-ID.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.messages.pending import AGAIN, Mark
from cluster.messages.queue import Queue

PATIENCE = 10.0  # s
_PAUSE = 0.1  # s until Redis is asked again
_MOST = 200  # marks in one script
_KEPT = 50_000  # marks of this node that Redis has not answered for

Told = Callable[[StoreUnavailable | None], None]


class _Entry:
    """What one caller asked for."""

    __slots__ = ("deadline", "done", "marks")

    def __init__(self, marks: tuple[Mark, ...], done: Told, deadline: float) -> None:
        self.marks = marks
        self.done = done
        self.deadline = deadline


class _Waiting:
    """What is asked for one address of record: `asked` is under way, `new` comes next."""

    __slots__ = ("asked", "new", "number", "timer")

    def __init__(self) -> None:
        self.asked: list[_Entry] = []
        self.new: list[_Entry] = []
        self.number = 0
        self.timer: asyncio.TimerHandle | None = None


class Confirms:
    """`left(aor, count, changed)` is told what Redis says of each batch."""

    def __init__(self, queue: Queue, left: Callable[[str, int, bool], None]) -> None:
        self._queue = queue
        self._left = left
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, _Waiting] = {}
        self._kept = 0
        self._closed = False

    def __len__(self) -> int:
        """Marks that Redis has not answered for."""
        return self._kept

    def add(self, aor: str, marks: Sequence[Mark], done: Told) -> None:
        """Told when Redis has them, or when they are given up."""
        if self._closed or self._kept + len(marks) > _KEPT:
            done(StoreUnavailable(f"{self._kept} confirmations wait for Redis already"))
            return
        self._kept += len(marks)
        waiting = self._waiting.get(aor)
        if waiting is None:
            waiting = self._waiting[aor] = _Waiting()
        waiting.new.append(_Entry((*marks,), done, self._loop.time() + PATIENCE))
        if not waiting.asked and waiting.timer is None:
            self._ask(aor, waiting)

    def flush(self, aor: str) -> None:
        """Send what waits for an answer to what went before: who claims next must find it done."""
        waiting = self._waiting.get(aor)
        if waiting is not None and waiting.new and waiting.timer is None:
            self._ask(aor, waiting)

    def unanswered(self, aor: str) -> set[tuple[str, str]]:
        """(id, device) of what is not owed any more, which Redis may not know yet."""
        waiting = self._waiting.get(aor)
        if waiting is None:
            return set()
        marks = (mark for entry in waiting.asked + waiting.new for mark in entry.marks)
        return {(mark.id, mark.device) for mark in marks if mark.status not in AGAIN}

    def close(self) -> None:
        """Give up what is not answered."""
        self._closed = True
        error = StoreUnavailable("this node stops")
        for aor, waiting in tuple(self._waiting.items()):
            if waiting.timer is not None:
                waiting.timer.cancel()
            entries, waiting.asked, waiting.new = waiting.asked + waiting.new, [], []
            self._waiting.pop(aor, None)
            self._finish(entries, error)

    def _ask(self, aor: str, waiting: _Waiting) -> None:
        waiting.timer = None
        size, some = 0, 0
        for entry in waiting.new:
            size += len(entry.marks)
            some += 1
            if size >= _MOST:
                break
        batch, waiting.new = waiting.new[:some], waiting.new[some:]
        waiting.asked += batch
        marks = [mark for entry in batch for mark in entry.marks]
        self._queue.confirm(aor, marks, functools.partial(self._told, aor, waiting, batch))

    def _told(self, aor: str, waiting: _Waiting, batch: list[_Entry], reply: Any) -> None:
        if self._waiting.get(aor) is not waiting:
            return  # closed
        waiting.asked = waiting.asked[len(batch) :]  # answers come in the order of the questions
        if isinstance(reply, StoreUnavailable):
            self._failed(aor, waiting, batch, reply)
            return
        if not waiting.new and not waiting.asked:
            del self._waiting[aor]
        elif not waiting.asked and waiting.timer is None:
            self._ask(aor, waiting)
        self._left(aor, reply >> 1, bool(reply & 1))
        self._finish(batch, None)

    def _failed(self, aor: str, waiting: _Waiting, batch: list[_Entry], error: StoreUnavailable) -> None:
        now = self._loop.time()
        late = [entry for entry in batch if entry.deadline <= now]
        waiting.new = [entry for entry in batch if entry.deadline > now] + waiting.new
        waiting.new.sort(key=_deadline)  # several batches may have failed: in the order in which they came
        if waiting.new:
            if waiting.timer is None:
                waiting.timer = self._loop.call_later(_PAUSE, self._ask, aor, waiting)
        elif not waiting.asked:
            del self._waiting[aor]
        self._finish(late, error)

    def _finish(self, entries: list[_Entry], error: StoreUnavailable | None) -> None:
        for entry in entries:
            self._kept -= len(entry.marks)
            entry.done(error)


def _deadline(entry: _Entry) -> float:
    return entry.deadline
