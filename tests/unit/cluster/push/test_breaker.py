"""When a provider that does not answer is left alone, and when it is tried again."""

import pytest

from cluster.push.breaker import LAST_PAUSE, THRESHOLD, Breaker, pause


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(THRESHOLD):
        breaker.begin()
        breaker.unanswered(now, False, "no answer", 0.0)
    return breaker


@pytest.mark.parametrize(
    "failures, spread, expected", [(1, 0, 0.5), (2, 0, 1.0), (4, 0, 4.0), (99, 0, 30.0), (1, 1, 0.375)]
)
def test_the_pause_doubles_up_to_a_limit(failures: int, spread: float, expected: float) -> None:
    assert pause(failures, 0.5, 30.0, spread) == expected


def test_it_opens_at_the_fifth_failure_in_a_row_and_says_so_once() -> None:
    breaker = Breaker()
    told = [breaker.unanswered(0.0, breaker.begin(), "no answer", 0.0) for _ in range(7)]

    assert told == [False] * 4 + [True] + [False] * 2
    assert breaker.reason == "no answer"


def test_an_answer_in_between_starts_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(THRESHOLD - 1):
        breaker.unanswered(0.0, False, "no answer", 0.0)
    assert not breaker.answered(False)
    for _ in range(THRESHOLD - 1):
        breaker.unanswered(0.0, False, "no answer", 0.0)

    assert not breaker.open


def test_open_lets_one_probe_through_after_a_second() -> None:
    breaker = opened()

    assert not breaker.passes(0.99)
    assert breaker.opens_at() == 1.0
    assert breaker.passes(1.0)
    assert breaker.begin()
    assert not breaker.passes(1000.0)
    assert breaker.opens_at() == float("inf")


def test_each_failed_probe_doubles_the_pause() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(7):
        before, now = now, breaker.opens_at()
        pauses.append(now - before)
        breaker.begin()
        breaker.unanswered(now, True, "no answer", 0.0)

    assert pauses == [1, 2, 4, 8, 16, LAST_PAUSE, LAST_PAUSE]


def test_failures_of_what_was_under_way_do_not_lengthen_the_pause() -> None:
    breaker = opened()
    for _ in range(100):
        breaker.unanswered(0.5, False, "no answer", 0.0)

    assert breaker.opens_at() == 1.0


def test_a_provider_that_names_a_time_is_not_asked_before() -> None:
    breaker = opened()
    breaker.begin()
    breaker.unanswered(1.0, True, "503", 0.0, at_least=20.0)

    assert breaker.opens_at() == 21.0


def test_any_answer_closes_it() -> None:
    breaker = opened()

    assert breaker.answered(False)
    assert breaker.passes(0.0)
    assert not breaker.begin()


def test_a_probe_that_was_not_sent_makes_room_for_another() -> None:
    breaker = opened()
    breaker.begin()
    breaker.abandoned(True)

    assert breaker.passes(1.0)
