"""The constants of RFC 3261 table 4, in seconds."""

from __future__ import annotations


class Timing:
    """T1, T2 and T4 and what follows from them. All values are seconds."""

    __slots__ = ("give_up", "t1", "t2", "t4", "timer_d", "trying_after")

    def __init__(self, t1: float = 0.5, t2: float = 4.0, t4: float = 5.0) -> None:
        self.t1 = t1
        self.t2 = t2
        self.t4 = t4
        self.give_up = 64 * t1  # timers B, F, H, J, L, M
        self.timer_d = max(32.0, 64 * t1)
        self.trying_after = 7 * t1  # RFC 4320 4.1: when timer E reaches T2
