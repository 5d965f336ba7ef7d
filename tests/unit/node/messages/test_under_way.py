"""Which copies are open on a node."""

from __future__ import annotations

from typing import Any

from node.messages.copy import Copy
from node.messages.under_way import UnderWay

AOR = "bob@example.org"


def copy(device: str) -> Copy:
    nothing: Any = None
    return Copy(nothing, device, nothing, nothing, nothing, nothing)


def test_what_was_added_is_known_until_it_is_removed() -> None:
    under_way = UnderWay()
    phone, tablet = copy("phone"), copy("tablet")
    under_way.add(AOR, "m", phone)
    under_way.add(AOR, "m", tablet)
    assert under_way.get(AOR, "m", "phone") and not under_way.get(AOR, "n", "phone")
    assert not under_way.get("eve@example.org", "m", "phone")
    assert under_way.open(AOR) == (phone, tablet) and len(under_way) == 2
    under_way.remove(AOR, "m", phone)
    assert not under_way.get(AOR, "m", "phone") and under_way.open(AOR) == (tablet,)
    under_way.remove(AOR, "m", tablet)
    assert under_way.open(AOR) == () and len(under_way) == 0


def test_a_later_copy_stands_for_an_earlier_one() -> None:
    under_way = UnderWay()
    first, second = copy("phone"), copy("phone")
    under_way.add(AOR, "m", first)
    under_way.add(AOR, "m", second)
    under_way.remove(AOR, "m", first)
    assert under_way.open(AOR) == (second,)


def test_what_is_not_there_may_be_removed() -> None:
    under_way = UnderWay()
    under_way.remove(AOR, "m", copy("phone"))
    assert len(under_way) == 0
