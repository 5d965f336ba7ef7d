"""FIFO deadlines and countdowns, with a clock made of numbers."""

from __future__ import annotations

from node.transaction.timers import NEVER, Countdown, Timers


def test_actions_run_once_in_order_of_their_deadlines():
    ran: list[tuple[str, float]] = []
    timers = Timers()
    timers.after(2.0, 0.0, lambda now: ran.append(("slow", now)))
    timers.after(0.5, 0.0, lambda now: ran.append(("fast", now)))
    assert timers.due == 0.5
    assert timers.advance(0.4) == 0.5
    assert ran == []
    assert timers.advance(0.5) == 2.0
    assert timers.advance(3.0) == NEVER
    assert ran == [("fast", 0.5), ("slow", 3.0)]


def test_only_an_earlier_deadline_wakes_the_shell():
    woken: list[float] = []
    timers = Timers(woken.append)
    timers.after(1.0, 0.0, lambda now: None)
    timers.after(1.0, 0.1, lambda now: None)
    timers.after(0.2, 0.1, lambda now: None)
    assert [round(due, 6) for due in woken] == [1.0, 0.3]


def test_an_action_may_set_a_deadline():
    timers = Timers()
    ran: list[float] = []

    def again(now: float) -> None:
        ran.append(now)
        if len(ran) < 3:
            timers.after(1.0, now, again)

    timers.after(1.0, 0.0, again)
    for now in (1.0, 2.0, 3.0, 4.0):
        timers.advance(now)
    assert ran == [1.0, 2.0, 3.0]
    assert len(timers) == 0


def test_a_countdown_can_be_restarted_and_taken_back():
    timers = Timers()
    ran: list[tuple[str, float]] = []
    countdown = Countdown(timers, 10.0)
    countdown.restart("a", 0.0, lambda now: ran.append(("a", now)))
    countdown.restart("b", 0.0, lambda now: ran.append(("b", now)))
    countdown.restart("c", 0.0, lambda now: ran.append(("c", now)))
    countdown.restart("a", 5.0, lambda now: ran.append(("a again", now)))
    countdown.stop("b")
    now = 0.0
    while timers.due != NEVER:
        now = timers.due
        timers.advance(now)
    assert [name for name, _ in ran] == ["c", "a again"]
    assert ran[0][1] == 10.0
    assert 15.0 <= ran[1][1] <= 16.0
    assert len(countdown) == 0
    assert len(timers) == 0
