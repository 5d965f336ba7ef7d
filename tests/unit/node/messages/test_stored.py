"""A request goes into its stored form and leaves from it as it would have left itself."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from node.branch_id import BranchIds
from node.fork.target import Target
from node.messages.stored import request_of, stored_form
from node.outgoing import Outgoing

NOW_MS = 1_790_000_000_000
TOP = b"MESSAGE sip:bob@example.org SIP/2.0\r\n"
WAY = (
    b"Via: SIP/2.0/TCP 10.0.0.9;branch=z9hG4bKs;rport\r\n"
    b"v: SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKr\r\n"
    b"Max-Forwards: 68\r\n"
    b"Route: <sip:10.0.0.1;lr>\r\n"
    b"Record-Route: <sip:10.0.0.2;lr>\r\n"
)
REST = (
    b"f: Alice <sip:alice@example.org>;tag=1\r\n"
    b"To: <sip:bob@example.org>\r\n"
    b"Call-ID: c1@host\r\n"
    b"CSeq: 7 MESSAGE\r\n"
    b"Subject: folded\r\n\tvalue\r\n"
    b"Content-Type: message/cpim\r\n"
)
DATE = b"Date: Mon, 21 Sep 2026 14:13:20 GMT\r\n"
BODY = b"imdn.Message-ID: x\0\xff\r\n\r\n"
END = b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
ARRIVED = TOP + WAY + REST + END


class Listener:
    via = b"Via: SIP/2.0/TLS node;branch="


class Leaving:
    listener = Listener()


@pytest.fixture(params=["codec_python", "_codec"])
def parse(request: pytest.FixtureRequest) -> Any:
    try:
        return import_module(f"node.sip.{request.param}").parse
    except ImportError:
        pytest.skip("the codec is not compiled here")


def left(stored: bytes, target: Target) -> bytes:
    outgoing: Any = Outgoing(BranchIds(), None)  # type: ignore[arg-type]
    return bytes(outgoing.bytes(request_of(stored), target, Leaving(), b"z9hG4bKx"))


def test_what_belongs_to_the_way_is_not_stored(parse: Any) -> None:
    assert stored_form(parse(ARRIVED), NOW_MS) == TOP + DATE + REST + END


def test_the_date_of_the_sender_stays(parse: Any) -> None:
    given = b"Date: Sun, 20 Sep 2026 10:00:00 GMT\r\n"
    stored = stored_form(parse(TOP + WAY + REST + given + END), NOW_MS)
    assert stored == TOP + given + REST + END


def test_a_length_is_added_where_a_datagram_had_none(parse: Any) -> None:
    assert stored_form(parse(TOP + WAY + REST + b"\r\n" + BODY), NOW_MS) == TOP + DATE + REST + END


def test_it_leaves_with_our_via_only_and_new_max_forwards(parse: Any) -> None:
    stored = stored_form(parse(ARRIVED), NOW_MS)
    target = Target(b"sip:bob@10.9.8.7;ob", routes=(b"sip:token@node;lr", b"sip:edge;lr"))
    assert left(stored, target) == (
        b"MESSAGE sip:bob@10.9.8.7;ob SIP/2.0\r\n"
        b"Via: SIP/2.0/TLS node;branch=z9hG4bKx;rport\r\n"
        b"Route: <sip:token@node;lr>\r\n"
        b"Route: <sip:edge;lr>\r\n"
        b"Max-Forwards: 70\r\n" + DATE + REST + END
    )
    parsed = parse(left(stored, target))
    assert (parsed.via_count, parsed.max_forwards, parsed.body) == (1, 70, BODY)
    assert (parsed.call_id, parsed.cseq, parsed.from_tag) == (b"c1@host", 7, b"1")


def test_a_target_with_the_same_uri_changes_nothing(parse: Any) -> None:
    stored = stored_form(parse(ARRIVED), NOW_MS)
    assert left(stored, Target(b"sip:bob@example.org")).startswith(TOP + b"Via: ")
    assert request_of(stored).uri == b"sip:bob@example.org"


def test_each_copy_has_a_branch_of_its_own(parse: Any) -> None:
    message: Any = request_of(stored_form(parse(ARRIVED), NOW_MS)).message
    ids = BranchIds()
    assert ids.make(message) != ids.make(message)
