"""The stored form of a pending message."""

import pytest

from cluster.messages.pending import Expired, Pending
from cluster.messages.record import VERSION, decode, encode, expired

PENDING = Pending(
    "id1",
    "bob@example.org",
    1,
    1000,
    2000,
    b"MESSAGE sip:bob\r\n\r\na\nb\n\n",
    "call",
    "sip:ann@b",
    "message",
)


def test_it_comes_back_as_it_was() -> None:
    assert decode("bob@example.org", "id1", encode(PENDING)) == PENDING
    assert encode(PENDING).startswith(b"1\n1\n1000\n2000\nmessage\nsip:ann@b\ncall\nMESSAGE")


def test_no_header_value_can_shift_the_head() -> None:
    odd = Pending("i", "a", 2, 1, 2, b"x", "call\nid", "sip:\udcff\n@b", "kind\n")
    back = decode("a", "i", encode(odd))
    assert back == Pending("i", "a", 2, 1, 2, b"x", "call id", "sip:\udcff @b", "kind ")


@pytest.mark.parametrize("stored", [b"", b"1\n2\n3", b"x\n1\n1\n2\nm\ns\nc\nraw", b"%d" % (VERSION + 1)])
def test_what_nobody_can_read_is_skipped(stored: bytes) -> None:
    assert decode("a", "i", stored) is None


def test_a_later_version_is_skipped() -> None:
    later = b"%d" % (VERSION + 1) + encode(PENDING)[1:]
    assert decode("bob@example.org", "id1", later) is None


def test_what_is_told_of_a_message_that_left() -> None:
    head = encode(PENDING)[: -len(PENDING.request)]
    told = expired("bob@example.org", "id1", head, ("<a>",))
    assert told == Expired("id1", "bob@example.org", "sip:ann@b", "call", ("<a>",), 1000)
    assert expired("a", "i", b"", ("<a>",)) == Expired("i", "a", "", "", ("<a>",), 0)
