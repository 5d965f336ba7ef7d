"""Which push of a lane is sent next, and what becomes of it."""

from __future__ import annotations

from typing import cast

import pytest

from cluster.push.events import CredentialsRefused, LaneBlocked, LaneFree
from cluster.push.lane import Entry, Lane
from cluster.push.providers.provider import Answer, Provider
from cluster.push.push import Push

ACCEPTED = Answer("accepted", 200)
SILENT = Answer("retry", 0, "apns.example gave no answer within 5 s")
BUSY = Answer("retry", 429, "TooManyRequests")
WRONG = Answer("credentials", 403, "InvalidProviderToken: check key_id and team")


def lane(size: int = 1000, concurrency: int = 100) -> Lane:
    return Lane("apns org.example", size, concurrency, 0.0, chance=lambda: 0.0)


def entry(name: str = "a", expires: float = 60.0) -> Entry:
    push = Push(name, "apns", "org.example", "token", "voip", "call", 0, int(expires * 1000))
    return Entry(push, cast(Provider, None), lambda *_: None, expires)


def admit(to: Lane, names: str, now: float = 0.0, expires: float = 60.0) -> None:
    for name in names:
        to.admit(entry(name, expires), now)


def take(of: Lane, now: float) -> list[Entry]:
    taken = []
    while (one := of.take(now)) is not None:
        one.attempts += 1
        taken.append(one)
    return taken


def names(entries: list[Entry]) -> str:
    return "".join(one.push.id for one in entries)


def ended(of: Lane) -> list[tuple[str, str, str]]:
    result = [(one.push.id, answer.outcome, answer.reason) for one, answer in of.finished]
    of.finished.clear()
    return result


def silence(of: Lane, now: float = 0.0) -> None:
    """Five pushes that nobody answers: the breaker opens."""
    admit(of, "vwxyz", now)
    for one in take(of, now):
        of.settle(one, SILENT, False, now)


def test_pushes_go_out_in_order_and_no_more_than_the_limit_at_a_time() -> None:
    it = lane(concurrency=2)
    admit(it, "abc")

    first = take(it, 0.0)
    assert names(first) == "ab"
    it.settle(first[0], ACCEPTED, True, 0.1)
    assert names(take(it, 0.1)) == "c"
    assert ended(it) == [("a", "accepted", "")]
    assert (it.sent, it.waiting, it.under_way) == (1, 0, 2)


def test_it_is_full_with_what_waits_is_under_way_or_comes_later() -> None:
    it = lane(size=3, concurrency=2)
    admit(it, "ab")
    it.settle(take(it, 0.0)[0], BUSY, True, 0.0)
    assert not it.full
    admit(it, "c")

    assert it.full


@pytest.mark.parametrize("attempts, wait", [(1, 0.5), (2, 1.0), (3, 2.0), (8, 30.0)])
def test_a_retry_waits_twice_as_long_each_time(attempts: int, wait: float) -> None:
    it = lane()
    admit(it, "a", expires=1000.0)
    one = it.take(0.0)
    assert one is not None
    one.attempts = attempts
    it.settle(one, BUSY, True, 10.0)

    assert it.take(10.0 + wait - 0.001) is None
    assert it.due(10.5 - 0.001) == pytest.approx(min(10.0 + wait, 11.499))
    assert it.take(10.0 + wait) is one


def test_retry_after_is_honoured() -> None:
    it = lane()
    admit(it, "a")
    it.settle(take(it, 0.0)[0], Answer("retry", 429, "", retry_after=7.0), True, 0.0)

    assert it.take(6.9) is None
    assert names(take(it, 7.0)) == "a"


def test_an_access_token_that_was_refused_is_replaced_at_once() -> None:
    it = lane()
    admit(it, "a")
    one = take(it, 0.0)[0]
    it.settle(one, Answer("retry", 403, "ExpiredProviderToken"), True, 0.0)
    assert take(it, 0.0) == [one]
    it.settle(one, Answer("retry", 403, "ExpiredProviderToken"), True, 0.0)

    assert take(it, 0.0) == []


def test_a_push_whose_time_is_over_is_not_sent() -> None:
    it = lane(concurrency=1)
    admit(it, "ab", expires=5.0)
    take(it, 0.0)
    it.expire(5.0)

    assert ended(it) == [("b", "expired", "its time was over before it could be sent")]


def test_a_push_that_would_expire_before_the_next_attempt_ends_now_with_the_last_reason() -> None:
    it = lane()
    admit(it, "a", expires=5.0)
    it.settle(take(it, 0.0)[0], SILENT, False, 4.6)

    assert ended(it) == [("a", "expired", SILENT.reason)]


def test_what_waits_for_a_retry_expires_too() -> None:
    it = lane()
    admit(it, "a", expires=5.0)
    one = take(it, 0.0)[0]
    it.settle(one, BUSY, True, 4.4)
    assert it.waiting == 1
    it.expire(5.0)

    assert ended(it) == [("a", "expired", "TooManyRequests")]
    assert it.idle


def test_five_without_an_answer_block_the_lane_and_the_first_answer_frees_it() -> None:
    it = lane()
    silence(it)
    assert it.events == [LaneBlocked("apns org.example", SILENT.reason, 5)]
    assert it.blocked == SILENT.reason
    admit(it, "abc")
    assert take(it, 0.9) == []
    assert it.due(0.9) == 1.0

    probe = take(it, 1.0)
    assert names(probe) == "a"
    it.settle(probe[0], ACCEPTED, True, 1.1)
    assert it.events[1:] == [LaneFree("apns org.example")]
    assert names(take(it, 1.1)) == "vwxyzbc"


def test_a_probe_that_fails_makes_the_next_one_wait_longer() -> None:
    it = lane()
    silence(it)
    admit(it, "ab")
    it.settle(take(it, 1.0)[0], SILENT, False, 1.0)

    assert take(it, 2.9) == []
    assert names(take(it, 3.0)) == "b"


def test_without_fresh_pushes_a_waiting_retry_is_the_probe() -> None:
    it = lane()
    silence(it)
    for at in (1.0, 3.0, 7.0):
        probe = take(it, at)
        assert len(probe) == 1
        it.settle(probe[0], SILENT, False, at)


def test_status_500_counts_as_no_answer_and_429_as_one() -> None:
    it = lane()
    admit(it, "abcdefgh")
    for one in take(it, 0.0):
        it.settle(one, BUSY, True, 0.0)
    assert not it.blocked
    admit(it, "klmno")
    for one in take(it, 0.0):
        it.settle(one, Answer("retry", 503, "ServiceUnavailable"), False, 0.0)
    assert it.blocked == "ServiceUnavailable"


def test_refused_credentials_end_all_that_waits_and_all_that_comes() -> None:
    it = lane(concurrency=1)
    admit(it, "abc")
    it.settle(take(it, 0.0)[0], WRONG, True, 0.0)
    admit(it, "d", 1.0)

    assert ended(it) == [(name, "credentials", WRONG.reason) for name in "bcad"]
    assert it.events == [CredentialsRefused("apns org.example", WRONG.reason)]
    assert it.blocked == WRONG.reason


def test_after_a_minute_one_push_tries_the_credentials_again() -> None:
    it = lane()
    admit(it, "a")
    it.settle(take(it, 0.0)[0], WRONG, True, 0.0)
    admit(it, "bcd", 60.0, 120.0)
    trial = take(it, 60.0)
    assert names(trial) == "b"
    assert take(it, 60.1) == []

    it.settle(trial[0], ACCEPTED, True, 60.2)
    assert names(take(it, 60.2)) == "cd"
    assert not it.blocked


def test_a_trial_that_is_refused_ends_the_others_and_is_not_told_again_for_five_minutes() -> None:
    it = lane(concurrency=1)
    told = 0
    for minute in range(11):
        now = 60.0 * minute
        admit(it, "ab", now, now + 60)
        it.settle(take(it, now)[0], WRONG, True, now)
        assert len(ended(it)) == 2
        told += len(it.events)
        it.events.clear()

    assert told == 3  # at 0, 5 and 10 minutes


def test_mended_credentials_are_tried_at_once() -> None:
    it = lane()
    admit(it, "a")
    it.settle(take(it, 0.0)[0], WRONG, True, 0.0)
    it.retry_credentials()
    admit(it, "b", 1.0)

    assert names(take(it, 1.0)) == "b"


def test_nothing_is_sent_while_an_access_token_is_fetched() -> None:
    it = lane()
    admit(it, "abc")
    one = it.take(0.0)
    it.granting = True
    assert it.take(0.0) is None
    it.granted()

    assert one is not None
    assert names(take(it, 0.0)) == "bc"


def test_without_an_access_token_all_wait_and_it_is_asked_for_again() -> None:
    it = lane()
    admit(it, "abc")
    one = it.take(0.0)
    assert one is not None
    it.grant_failed(one, SILENT, False, 0.0)

    assert take(it, 0.9) == []
    assert it.due(0.9) == 1.0
    assert names(take(it, 1.0)) == "abc"


def test_five_failed_grants_block_the_lane() -> None:
    it = lane()
    admit(it, "a", expires=1000.0)
    now = 0.0
    for _ in range(5):
        one = it.take(now)
        assert one is not None
        it.grant_failed(one, SILENT, False, now)
        now += 31.0

    assert it.events == [LaneBlocked("apns org.example", SILENT.reason, 1)]


def test_a_withdrawn_probe_makes_room_for_another() -> None:
    it = lane()
    silence(it)
    admit(it, "ab")
    it.drop(take(it, 1.0)[0], Answer("expired", 0, "withdrawn"))

    assert names(take(it, 1.0)) == "b"
    assert ended(it) == [("a", "expired", "withdrawn")]
