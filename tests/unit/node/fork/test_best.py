"""The best of several final statuses (RFC 3261 16.7 step 6)."""

from __future__ import annotations

import pytest

from node.fork.best import best, towards_caller


@pytest.mark.parametrize(
    ("statuses", "chosen"),
    [
        ([486, 404], 486),
        ([486, 401], 401),
        ([404, 488, 415], 415),
        ([486, 603], 603),
        ([302, 486], 302),
        ([500, 486], 486),
        ([503, 408, 500], 500),
        ([503, 408], 408),
        ([430, 486], 486),
        ([200, 603], 200),
        ([408], 408),
        ([], None),
    ],
)
def test_best(statuses, chosen):
    index = best(statuses)
    assert (statuses[index] if index >= 0 else None) == chosen


def test_equal_ones_the_first_that_came():
    assert best([486, 486]) == 0


def test_a_branch_that_cannot_be_reached_is_temporarily_unavailable():
    assert [towards_caller(status) for status in (430, 503, 486)] == [480, 480, 486]


def test_another_node_hears_what_only_nodes_understand() -> None:
    assert [towards_caller(status, True) for status in (430, 503, 486)] == [430, 503, 486]
