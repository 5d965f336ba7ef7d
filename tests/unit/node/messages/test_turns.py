"""Who is stored first."""

from __future__ import annotations

from node.messages.turns import Turns


class Waiting:
    """As much of an attempt as turns look at."""

    def __init__(self, name: str, order: list[str], aor: str = "bob") -> None:
        self.name, self.aor, self.order = name, aor, order
        self.ahead = self.behind = None
        self.waits_for_turn = False

    def turn(self, now: float) -> None:
        self.order.append(self.name)
        self.waits_for_turn = False


def make(count: int) -> tuple[Turns, list[Waiting], list[str]]:
    turns, order = Turns(), []
    waiting = [Waiting(str(number), order) for number in range(count)]
    for one in waiting:
        turns.join(one)
    return turns, waiting, order


def test_those_who_wait_follow_in_order() -> None:
    turns, (first, *rest), order = make(4)
    for one in rest:
        one.waits_for_turn = True
    turns.leave(first, 0.0)
    assert order == ["1", "2", "3"] and turns.last == {}


def test_who_is_not_decided_yet_holds_up_those_behind() -> None:
    turns, (first, second, third), order = make(3)
    third.waits_for_turn = True
    turns.leave(first, 0.0)
    assert order == [] and turns.last == {"bob": third}
    turns.leave(second, 0.0)
    assert order == ["2"] and turns.last == {}


def test_who_leaves_from_the_middle_lets_nobody_pass() -> None:
    turns, (first, second, third), order = make(3)
    third.waits_for_turn = True
    turns.leave(second, 0.0)
    assert order == [] and third.ahead is first and first.behind is third
    turns.leave(first, 0.0)
    assert order == ["2"]


def test_the_last_may_leave_first() -> None:
    turns, (first, second), order = make(2)
    turns.leave(second, 0.0)
    assert turns.last == {"bob": first}
    turns.leave(first, 0.0)
    assert turns.last == {} and order == []


def test_a_thousand_that_wait_do_not_nest() -> None:
    turns, (first, *rest), order = make(5000)
    for one in rest:
        one.waits_for_turn = True
    turns.leave(first, 0.0)
    assert len(order) == 4999 and turns.last == {}


def test_recipients_do_not_wait_for_each_other() -> None:
    turns, order = Turns(), []
    bob, eve = Waiting("bob", order), Waiting("eve", order, "eve")
    turns.join(bob)
    turns.join(eve)
    eve.waits_for_turn = True
    turns.leave(bob, 0.0)
    assert order == [] and turns.last == {"eve": eve}


def test_an_attempt_takes_the_place_of_what_it_grew_from() -> None:
    turns, (lone, behind), order = make(2)
    attempt = Waiting("attempt", order)
    behind.waits_for_turn = True
    turns.replace(lone, attempt)
    assert behind.ahead is attempt and turns.last == {"bob": behind}
    turns.leave(attempt, 0.0)
    assert order == ["1"] and turns.last == {}
