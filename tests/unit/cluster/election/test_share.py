"""Who should dispatch what, and what a node has to do about it."""

from collections import Counter

import pytest

from cluster.election.share import Holder, Steps, decide, wanted
from cluster.push.partition import PARTITIONS

ALL = range(PARTITIONS)
A, B = Holder("a", "1", 5), Holder("b", "1", 6)


def shares(*names: str) -> list[str]:
    return [wanted(n, names, PARTITIONS) for n in ALL]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 20])
def test_shares_are_even(count: int) -> None:
    loads = Counter(shares(*(f"node{n}" for n in range(count))))
    assert max(loads.values()) == -(-PARTITIONS // count)
    assert sum(loads.values()) == PARTITIONS


def test_all_agree_whatever_order_they_learned_in() -> None:
    assert shares("a", "b", "c") == shares("c", "a", "b", "a")
    assert wanted(3, (), PARTITIONS) == ""


def test_few_partitions_move_when_a_node_goes() -> None:
    before, after = shares("a", "b", "c", "d"), shares("a", "b", "c")
    moved = sum(x != y for x, y in zip(before, after, strict=True))
    assert moved <= 9  # four had to


def test_what_is_vacant_is_campaigned_for_by_the_wanted_one() -> None:
    mine = tuple(n for n in ALL if wanted(n, ("a", "b"), PARTITIONS) == "a")
    assert decide("a", "1", ("a", "b"), {}, {}, PARTITIONS) == Steps(campaign=mine)
    assert decide("c", "1", ("a", "b"), {}, {}, PARTITIONS) == Steps()


def test_a_holder_is_waited_for() -> None:
    assert decide("a", "1", ("a",), dict.fromkeys(ALL, B), {}, PARTITIONS).campaign == ()


def test_another_life_of_this_node_is_another_holder() -> None:
    steps = decide("a", "2", ("a",), dict.fromkeys(ALL, A), {}, PARTITIONS)
    assert steps == Steps()


def test_a_term_that_was_won_unknowingly_is_begun() -> None:
    steps = decide("a", "1", ("a",), {3: A, **{n: B for n in ALL if n != 3}}, {}, PARTITIONS)
    assert steps == Steps(resume=(3,))


def test_the_unwanted_resigns() -> None:
    terms = dict.fromkeys(ALL, 5)
    steps = decide("a", "1", ("a", "b"), dict.fromkeys(ALL, A), terms, PARTITIONS)
    assert steps.resign == tuple(n for n in ALL if wanted(n, ("a", "b"), PARTITIONS) == "b")
    assert decide("a", "1", ("b",), dict.fromkeys(ALL, A), terms, PARTITIONS).resign == tuple(ALL)


def test_a_term_whose_key_is_not_there_any_more_is_over() -> None:
    holders = {n: A for n in ALL if n not in (2, 7)} | {7: B}
    assert decide("a", "1", ("a",), holders, dict.fromkeys(ALL, 5), PARTITIONS) == Steps(lost=(2, 7))
