"""What becomes of a message: forwarded, answered, its Via popped, acknowledged, cancelled."""

from __future__ import annotations

from types import ModuleType

import pytest

REQUEST = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"X-First:  odd   spacing ;\r\n"
    b"v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa , SIP/2.0/TCP h;branch=z9hG4bKb\r\n"
    b"maX-Forwards:\t70\r\n"
    b"Route: <sip:p1;lr>, <sip:p2;lr>\r\n"
    b"f: <sip:a@b>;tag=1\r\n"
    b"t: <sip:b@c>\r\n"
    b"Route:<sip:p3;lr>\r\n"
    b"Call-ID: c1\r\n"
    b"Timestamp: 54\r\n"
    b"CSeq: 9 INVITE\r\n"
    b"X-Last: folded\r\n\tvalue\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"b\0\xffy"
)
VIA = b"Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKp"


def test_forward_touches_nothing_else(codec: ModuleType) -> None:
    out = codec.parse(REQUEST).forward(None, VIA, 69, b"192.0.2.1", 5060)
    expected = REQUEST.replace(b"SIP/2.0\r\nX-First", b"SIP/2.0\r\n" + VIA + b"\r\nX-First")
    assert out == expected.replace(b"\t70", b"\t69")


def test_forward_can_leave_all_but_via(codec: ModuleType) -> None:
    out = codec.parse(REQUEST).forward(None, VIA, -1, b"", 0)
    assert out.replace(VIA + b"\r\n", b"") == REQUEST


def test_forward_with_new_uri_and_inserted_rows(codec: ModuleType) -> None:
    out = codec.parse(REQUEST).forward(
        b"sip:b@192.0.2.7", VIA, 0, b"", 0, insert=b"Record-Route: <sip:p;lr>\r\nP: 1\r\n"
    )
    assert out.startswith(
        b"INVITE sip:b@192.0.2.7 SIP/2.0\r\n" + VIA + b"\r\nRecord-Route: <sip:p;lr>\r\nP: 1\r\nX-First:  odd"
    )


def test_forward_adds_what_is_missing(codec: ModuleType) -> None:
    bare = REQUEST.replace(b"maX-Forwards:\t70\r\n", b"").replace(b"Content-Length: 4\r\n", b"")
    out = codec.parse(bare).forward(None, VIA, 70, b"", 0)
    assert out.endswith(b"X-Last: folded\r\n\tvalue\r\nMax-Forwards: 70\r\nContent-Length: 4\r\n\r\nb\0\xffy")


@pytest.mark.parametrize(
    ("dropped", "left"),
    [
        (0, [b"Route: <sip:p1;lr>, <sip:p2;lr>", b"Route:<sip:p3;lr>"]),
        (1, [b"Route: <sip:p2;lr>", b"Route:<sip:p3;lr>"]),
        (2, [b"Route:<sip:p3;lr>"]),
        (3, []),
        (9, []),
    ],
)
def test_forward_drops_route_values(codec: ModuleType, dropped: int, left: list[bytes]) -> None:
    out = codec.parse(REQUEST).forward(None, VIA, 69, b"", 0, dropped)
    assert codec.parse(out).rows("route") == left


def test_forward_removes_rows(codec: ModuleType) -> None:
    out = codec.parse(REQUEST).forward(
        None, VIA, 69, b"", 0, 0, b"", ("x-last", "route", "timestamp", "absent")
    )
    left = codec.parse(out)
    assert not any(left.has(name) for name in ("x-last", "route", "timestamp"))
    assert left.first("x-first") == b"odd   spacing ;"


@pytest.mark.parametrize(
    ("via", "source", "stamped"),
    [
        (b"192.0.2.1:5060", b"192.0.2.1", b"192.0.2.1:5060"),
        (b"192.0.2.1:5060", b"192.0.2.2", b"192.0.2.1:5060;received=192.0.2.2"),
        (b"H.example.com", b"h.example.com", b"H.example.com"),
        (b"192.0.2.1;rport", b"192.0.2.1", b"192.0.2.1;rport=4711;received=192.0.2.1"),
        (b"192.0.2.1;rport;x=1", b"192.0.2.1", b"192.0.2.1;rport=4711;x=1;received=192.0.2.1"),
        (b"192.0.2.1; rport =\r\n ;x", b"192.0.2.1", b"192.0.2.1; rport=4711\r\n ;x;received=192.0.2.1"),
        (b"192.0.2.1;RPORT=9", b"192.0.2.1", b"192.0.2.1;rport=4711;received=192.0.2.1"),
        (b"192.0.2.1;received=203.0.113.1;y", b"192.0.2.1", b"192.0.2.1;received=192.0.2.1;y"),
        (b"h;received=[::1];rport", b"192.0.2.1", b"h;received=192.0.2.1;rport=4711"),
        (b"h;rport;received=::1", b"192.0.2.1", b"h;rport=4711;received=192.0.2.1"),
        (b"[2001:DB8::1]", b"2001:db8::1", b"[2001:DB8::1]"),
        (b"[2001:db8::1]:5061", b"2001:db8::2", b"[2001:db8::1]:5061;received=2001:db8::2"),
    ],
)
def test_stamp(codec: ModuleType, via: bytes, source: bytes, stamped: bytes) -> None:
    raw = REQUEST.replace(b"192.0.2.1:5060;branch=z9hG4bKa ", via)
    message = codec.parse(raw)
    expected = raw.replace(via + b",", stamped + b",")
    assert message.forward(None, VIA, -1, source, 4711).replace(VIA + b"\r\n", b"") == expected
    assert b"v: SIP/2.0/UDP " + stamped + b"," in message.reply(100, "Trying", b"", source, 4711)


def test_reply(codec: ModuleType) -> None:
    out = codec.parse(REQUEST).reply(
        486, "Busy Here", b"tg", b"192.0.2.1", 5060, b"Retry-After: 5\r\n", b"text"
    )
    assert out == (
        b"SIP/2.0 486 Busy Here\r\n"
        b"v: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa , SIP/2.0/TCP h;branch=z9hG4bKb\r\n"
        b"f: <sip:a@b>;tag=1\r\nt: <sip:b@c>;tag=tg\r\nCall-ID: c1\r\nCSeq: 9 INVITE\r\n"
        b"Retry-After: 5\r\nContent-Length: 4\r\n\r\ntext"
    )


def test_reply_100_returns_the_timestamp(codec: ModuleType) -> None:
    out = codec.parse(REQUEST).reply(100, "Trying", b"", b"", 0)
    assert b"\r\nTimestamp: 54\r\n" in out
    assert b"t: <sip:b@c>\r\n" in out


def test_reply_keeps_a_to_tag(codec: ModuleType) -> None:
    out = codec.parse(REQUEST.replace(b"<sip:b@c>", b"<sip:b@c>;tag=old")).reply(481, "Gone", b"new", b"", 0)
    assert codec.parse(out).to_tag == b"old"


def test_reply_to_a_folded_to(codec: ModuleType) -> None:
    out = codec.parse(REQUEST.replace(b"<sip:b@c>\r\n", b"<sip:b@c>\r\n  \r\n")).reply(
        481, "Gone", b"n", b"", 0
    )
    assert b"t: <sip:b@c>;tag=n\r\n" in out


@pytest.mark.parametrize(
    ("vias", "left"),
    [
        (b"Via: SIP/2.0/UDP a;branch=z9hG4bKa\r\n", b""),
        (b"Via: SIP/2.0/UDP a,SIP/2.0/UDP b\r\n", b"Via: SIP/2.0/UDP b\r\n"),
        (b'v :\r\n SIP/2.0/UDP a;x="," ,\r\n SIP/2.0/UDP b;c , SIP / 2.0/UDP c\r\n', None),
        (b"Via: SIP/2.0/UDP a,\r\nVia: SIP/2.0/UDP b\r\n", b"Via: SIP/2.0/UDP b\r\n"),
        (b"Via: SIP/2.0/UDP a, , SIP/2.0/UDP b\r\n", b"Via: , SIP/2.0/UDP b\r\n"),
    ],
)
def test_pop_via(codec: ModuleType, vias: bytes, left: bytes | None) -> None:
    if left is None:
        left = b"v :\r\n SIP/2.0/UDP b;c , SIP / 2.0/UDP c\r\n"
    raw = b"SIP/2.0 200 OK\r\nX: 1\r\n%bf:sip:a\r\nt:sip:b\r\ni:c\r\nCSeq:1 BYE\r\nL: 4\r\n\r\nbody"
    message = codec.parse(raw % vias)
    assert message.pop_via() == raw % left
    assert message.pop_via(b"Y: 2\r\n") == (raw % left).replace(b"X: 1", b"Y: 2\r\nX: 1")


@pytest.mark.parametrize("body", [b"", b"v=0\r\n"])
@pytest.mark.parametrize("last", [b"", b"Via: SIP/2.0/UDP a\r\n", b"Via: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n"])
def test_pop_via_adds_content_length(codec: ModuleType, body: bytes, last: bytes) -> None:
    first = b"" if last else b"Via: SIP/2.0/UDP a\r\n"
    raw = b"SIP/2.0 180 Ringing\r\n%bf:sip:a\r\nt:sip:b\r\ni:c\r\nCSeq:1 INVITE\r\n%b\r\n%b"
    left = b"Via: SIP/2.0/UDP b\r\n" if b"," in last else b""
    expected = raw % (b"", left + b"Content-Length: %d\r\n" % len(body), body)
    assert codec.parse(raw % (first, last, body)).pop_via() == expected


def test_all_that_leaves_carries_content_length(codec: ModuleType) -> None:
    bare = codec.parse(REQUEST.replace(b"Content-Length: 4\r\n", b""))
    removed = ("content-length",)
    made = [
        bare.forward(None, VIA, 69, b"", 0),
        codec.parse(REQUEST).forward(None, VIA, 69, b"", 0, 0, b"", removed),
        bare.reply(404, "Not Found", b"t", b"", 0),
        bare.ack(codec.parse(bare.reply(404, "Not Found", b"t", b"", 0))),
        bare.cancel(),
    ]
    lengths = [codec.parse(raw).all("content-length") for raw in made]
    assert lengths == [[b"4"], [b"4"], [b"0"], [b"0"], [b"0"]]


def test_ack(codec: ModuleType) -> None:
    sent = codec.parse(codec.parse(REQUEST).forward(b"sip:b@192.0.2.7", VIA, 69, b"", 0, 1))
    busy = codec.parse(sent.reply(486, "Busy Here", b"far", b"", 0))
    assert sent.ack(busy) == (
        b"ACK sip:b@192.0.2.7 SIP/2.0\r\n" + VIA + b"\r\nMax-Forwards: 70\r\n"
        b"Route: <sip:p2;lr>\r\nRoute:<sip:p3;lr>\r\nf: <sip:a@b>;tag=1\r\nt: <sip:b@c>;tag=far\r\n"
        b"Call-ID: c1\r\nCSeq: 9 ACK\r\nContent-Length: 0\r\n\r\n"
    )
    assert codec.parse(sent.ack(busy)).key == sent.key


def test_cancel(codec: ModuleType) -> None:
    sent = codec.parse(codec.parse(REQUEST).forward(b"sip:b@192.0.2.7", VIA, 69, b"", 0, 3))
    assert sent.cancel(b"Reason: SIP;cause=200\r\n") == (
        b"CANCEL sip:b@192.0.2.7 SIP/2.0\r\n" + VIA + b"\r\nMax-Forwards: 70\r\n"
        b"f: <sip:a@b>;tag=1\r\nt: <sip:b@c>\r\n"
        b"Call-ID: c1\r\nCSeq: 9 CANCEL\r\nReason: SIP;cause=200\r\nContent-Length: 0\r\n\r\n"
    )
