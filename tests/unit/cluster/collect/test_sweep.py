"""Who is worth a look when nobody delivers; and what a pattern fits."""

import fnmatch

import pytest

from cluster.collect.sweep import _aor, _literal, _wanted
from cluster.location.binding import Binding
from cluster.location.record import Record

NAMED = Binding(key="<phone>;reg-id=1", instance="<phone>", reg_id=1)
PUSHED = Binding(key="prid:fcm:x", prid="fcm:x")
UNNAMED = Binding(key="sip:u@192.0.2.1")


@pytest.mark.parametrize(
    ("binding", "messages", "wanted"),
    [
        (NAMED, {"<phone>": True}, True),
        (NAMED, {"<phone>": False, "<tablet>": True}, False),
        (NAMED, {"<tablet>": True}, True),  # the queue does not know it: it is owed all
        (NAMED, {"<phone>": False, "*": True}, False),
        (PUSHED, {"prid:fcm:x": True}, True),
        (PUSHED, {"prid:fcm:x": False}, False),
        (UNNAMED, {"*": True}, True),
        (UNNAMED, {"<tablet>": True}, False),
    ],
)
def test_a_device_that_is_owed_something_is_wanted(
    binding: Binding, messages: dict[str, bool], wanted: bool
) -> None:
    assert _wanted(Record("u@h", (binding,), messages=messages)) is wanted
    assert not _wanted(Record("u@h", (), messages=messages))


def test_one_of_several_devices_is_enough() -> None:
    messages = {"<phone>": False, "prid:fcm:x": True}
    assert _wanted(Record("u@h", (NAMED, PUSHED), messages=messages))


def test_an_aor_comes_out_of_its_keys_as_it_went_in() -> None:
    assert _aor(b"c:messages:{u@h}:order", b"c:messages:{") == "u@h"
    assert _aor(b"c:messages:{u}x@h}", b"c:messages:{") == "u}x@h"
    assert _aor(b"c:aor:{\xff@h}", b"c:aor:{").encode(errors="surrogateescape") == b"\xff@h"


def test_a_prefix_with_signs_of_a_pattern_fits_itself_alone() -> None:
    assert _literal(b"a*[b]?\\") == b"a\\*\\[b\\]\\?\\\\"
    assert _literal(b"clarion") == b"clarion"
    assert fnmatch.fnmatchcase("clarion:aor:{u@h}", _literal(b"clarion").decode() + ":*:{*")
