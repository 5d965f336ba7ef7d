"""Deadlines of all transactions.

Why FIFOs: SIP's delays are few constants (T1 * 2^k, T4, 32 s), so the deadlines of
one delay come due in the order in which they were set. Appending to a deque costs
0.25 us where `loop.call_later` costs 2 us or more. A deadline is never taken back:
its action looks at the state of its transaction and does nothing when that has moved
on. Delays that are usually taken back (timer C) are kept in a `Countdown` instead, so
that a finished call does not stay in memory for three minutes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

Action = Callable[[float], None]
NEVER = float("inf")


class Timers:
    """FIFO of actions per constant delay. Times are seconds of one monotonic clock."""

    __slots__ = ("_queues", "_wake", "due")

    def __init__(self, wake: Callable[[float], None] | None = None) -> None:
        """`wake(due)` is told when a deadline earlier than all others is set."""
        self._queues: dict[float, deque[tuple[float, Action]]] = {}
        self._wake = wake
        self.due = NEVER

    def after(self, delay: float, now: float, action: Action) -> None:
        """Calls `action(now)` once, `delay` seconds after `now`."""
        queue = self._queues.get(delay)
        if queue is None:
            queue = self._queues[delay] = deque()
        due = now + delay
        queue.append((due, action))
        if due < self.due:
            self.due = due
            if self._wake is not None:
                self._wake(due)

    def advance(self, now: float) -> float:
        """Runs all that is due; returns the next deadline (NEVER if none is set)."""
        self.due = NEVER
        for queue in tuple(self._queues.values()):
            while queue and queue[0][0] <= now:
                queue.popleft()[1](now)
        due = min((queue[0][0] for queue in self._queues.values() if queue), default=NEVER)
        self.due = min(due, self.due)
        return self.due

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))


class Countdown:
    """One delay that can be restarted and taken back, per key, in constant time."""

    __slots__ = ("_armed", "_pending", "_timers", "delay")

    def __init__(self, timers: Timers, delay: float) -> None:
        self._timers = timers
        self._pending: OrderedDict[Hashable, tuple[float, Action]] = OrderedDict()
        self._armed = False
        self.delay = delay

    def restart(self, key: Hashable, now: float, action: Action) -> None:
        """(Re)starts the countdown of `key`; `action(now)` runs when it ends."""
        self._pending[key] = (now + self.delay, action)
        self._pending.move_to_end(key)
        if not self._armed:
            self._armed = True
            self._timers.after(self.delay, now, self._advance)

    def stop(self, key: Hashable) -> None:
        """Takes the countdown of `key` back; nothing happens if there is none."""
        self._pending.pop(key, None)

    def _advance(self, now: float) -> None:
        while self._pending:
            key, (due, action) = next(iter(self._pending.items()))
            if due > now:
                break
            del self._pending[key]
            action(now)
        self._armed = bool(self._pending)
        if self._armed:
            # Looks again after a full delay or a second, whichever is shorter.
            self._timers.after(min(self.delay, 1.0), now, self._advance)

    def __len__(self) -> int:
        return len(self._pending)
