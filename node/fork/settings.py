"""The clocks that all response contexts of a node share, and the options of forking."""

from __future__ import annotations

from node.fork.best import URGENT
from node.settings import RoutingSettings
from node.transaction.timers import Countdown, Timers


class ForkTimers:
    """Countdowns: the whole call, timer C of a branch, a group of equal q, urgent failures."""

    __slots__ = ("all_urgent", "group", "no_global_decline", "timer_c", "urgent", "urgent_statuses", "whole")

    def __init__(self, timers: Timers, settings: RoutingSettings) -> None:
        self.whole = Countdown(timers, settings.call_fork_timeout)
        # A call that nobody answers ends before timer C can, unless it may ring longer than that.
        self.timer_c: Countdown | None = None
        if settings.timer_c < settings.call_fork_timeout:
            self.timer_c = Countdown(timers, settings.timer_c)
        self.group = Countdown(timers, settings.current_branches_timeout)
        self.urgent = Countdown(timers, settings.urgent_timeout)
        self.urgent_statuses = URGENT | {603} if settings.treat_decline_as_urgent else URGENT
        self.all_urgent = settings.treat_all_as_urgent
        self.no_global_decline = settings.no_global_decline
