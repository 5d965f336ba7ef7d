"""`[redis] url` in all its forms, and slots of keys."""

import pytest

from cluster.errors import BadAddress
from cluster.redis.address import StoreAddress, parse_url
from cluster.redis.topology import slot_of


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", StoreAddress("single", (("h", 6379),))),
        ("redis://h:1/3", StoreAddress("single", (("h", 1),), database=3)),
        ("redis://:p%40ss@h", StoreAddress("single", (("h", 6379),), password="p@ss")),
        ("rediss://u:p@[::1]:7", StoreAddress("single", (("::1", 7),), tls=True, username="u", password="p")),
        ("redis://[::1]", StoreAddress("single", (("::1", 6379),))),
        ("sentinel://a:1,b/m", StoreAddress("sentinel", (("a", 1), ("b", 26379)), master="m")),
        ("clusters://a,b:2", StoreAddress("cluster", (("a", 6379), ("b", 2)), tls=True)),
    ],
)
def test_addresses(url: str, expected: StoreAddress) -> None:
    assert parse_url(url) == expected


@pytest.mark.parametrize(
    "url", ["http://h", "redis://", "redis://h:x", "redis://h/x", "sentinel://h:1", "redis://h:0", "nonsense"]
)
def test_wrong_addresses_name_the_option(url: str) -> None:
    with pytest.raises(BadAddress, match=r"\[redis\] url"):
        parse_url(url)


def test_slots_are_those_of_redis() -> None:
    assert slot_of(b"123456789") == 12739  # the example of the specification
    assert slot_of(b"clarion:aor:{a@b}") == slot_of(b"a@b") == slot_of(b"{a@b}x")
    assert slot_of(b"{}x") != slot_of(b"")
    assert slot_of(b"foo{") == slot_of(b"foo{")
