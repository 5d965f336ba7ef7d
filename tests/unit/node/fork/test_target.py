"""Groups of equal q, and flows of one device as alternatives (RFC 5626 7)."""

from __future__ import annotations

from node.fork.target import Target, groups


def uris(found: list[list[Target]]) -> list[list[bytes]]:
    return [[target.uri for target in group] for group in found]


def test_highest_q_first():
    targets = [Target(b"a", 500), Target(b"b", 1000), Target(b"c", 500)]
    assert uris(groups(targets)) == [[b"b"], [b"a", b"c"]]


def test_flows_of_one_device_do_not_ring_in_parallel():
    targets = [Target(b"a", device="x"), Target(b"b", device="y"), Target(b"c", device="x")]
    found = groups(targets)
    assert uris(found) == [[b"a", b"b"]]
    assert found[0][0].alternative is targets[2]
    assert found[0][1].alternative is None
