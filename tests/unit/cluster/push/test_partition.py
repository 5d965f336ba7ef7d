"""Which partition a token belongs to is the same for ever: pushes of an old node are found by a new one."""

from collections import Counter

from cluster.push.partition import PARTITIONS, partition_of


def test_the_partition_of_a_token_never_changes() -> None:
    assert [partition_of(token) for token in ("", "a", "740f4707bebcf74f", "ü")] == [0, 3, 9, 5]


def test_tokens_spread_over_all_partitions() -> None:
    counts = Counter(partition_of(f"token{n}") for n in range(1600))
    assert set(counts) == set(range(PARTITIONS))
    assert max(counts.values()) < 160
