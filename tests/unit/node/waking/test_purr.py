"""References of bindings (RFC 8599 6)."""

from __future__ import annotations

import re

import pytest

from node.waking.purr import Purr

AOR, DEVICE = "bob@example.org", "<urn:uuid:7>;reg-id=1"


def test_every_node_reads_it_and_it_stays_the_same() -> None:
    word = Purr(b"secret").make(AOR, DEVICE)
    assert Purr(b"secret").open(word) == (AOR, DEVICE)
    assert Purr(b"secret").make(AOR, DEVICE) == word


def test_it_can_stand_in_a_uri_parameter_and_tells_nothing() -> None:
    word = Purr(b"secret").make("bøb@example.org", DEVICE)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", word)
    assert Purr(b"secret").open(word) == ("bøb@example.org", DEVICE)
    assert "bob" not in word and "urn" not in word


def test_each_device_has_its_own() -> None:
    purr = Purr(b"secret")
    words = {purr.make(aor, device) for aor in (AOR, "eve@example.org") for device in (DEVICE, "line:1")}
    assert len(words) == 4


@pytest.mark.parametrize("place", [0, 5, 20, -1])
def test_nobody_can_make_one_up(place: int) -> None:
    purr = Purr(b"secret")
    word = purr.make(AOR, "a" * 8)
    letters = list(word)
    letters[place] = "A" if letters[place] != "A" else "Q"
    assert purr.open("".join(letters)) is None


@pytest.mark.parametrize("word", ["", "A", "AAAA", "=", "é", "A" * 5000, "a b", "\ud800"])
def test_what_is_none_of_ours(word: str) -> None:
    assert Purr(b"secret").open(word) is None


def test_another_cluster_cannot_read_it() -> None:
    assert Purr(b"other").open(Purr(b"secret").make(AOR, DEVICE)) is None
