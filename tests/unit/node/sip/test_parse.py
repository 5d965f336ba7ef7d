"""What a message says."""

from __future__ import annotations

from types import ModuleType

import pytest

from node.sip.errors import ParseError

INVITE = (
    b"INVITE sip:bob@example.com;user=phone SIP/2.0\r\n"
    b"Via: SIP/2.0/tcp client.example.com:5062;branch=z9hG4bK74bf9;rport , SIP/2.0/UDP [2001:db8::9]\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKold\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Alice, <sip:no>;tag=no" <sip:alice@example.com;tag=no>;x=1;tag=9fxced76sl\r\n'
    b"To: Bob <sip:bob@example.com>\r\n"
    b"Call-ID: 3848276298220188511@example.com\r\n"
    b"CSeq: 17 INVITE\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"v=0\r\n"
)
RINGING = (
    b"SIP/2.0 180 Ringing here\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nf: sip:a@b;tag=1\r\n"
    b"t: sip:b@c;tag=2\r\ni: x\r\nCSeq: 3 SUBSCRIBE\r\n\r\n"
)


def test_request(codec: ModuleType) -> None:
    message = codec.parse(INVITE)
    assert message.is_request
    assert (message.method, message.status, message.reason) == ("INVITE", 0, "")
    assert message.uri == b"sip:bob@example.com;user=phone"
    assert (message.cseq, message.max_forwards) == (17, 70)
    assert message.call_id == b"3848276298220188511@example.com"
    assert (message.from_tag, message.to_tag) == (b"9fxced76sl", b"")
    assert (message.from_uri, message.to_uri) == (b"sip:alice@example.com;tag=no", b"sip:bob@example.com")
    assert message.body == b"v=0\r\n"
    assert message.raw == INVITE


def test_top_via(codec: ModuleType) -> None:
    message = codec.parse(INVITE)
    assert message.branch == b"z9hG4bK74bf9"
    assert (message.via_transport, message.via_host, message.via_port) == ("TCP", b"client.example.com", 5062)
    assert message.sent_by == b"client.example.com:5062"
    assert message.via_count == 3
    assert message.next_via() == ("UDP", b"2001:db8::9", 0, b"", 0)


def test_response(codec: ModuleType) -> None:
    message = codec.parse(RINGING)
    assert not message.is_request
    assert (message.status, message.reason, message.method) == (180, "Ringing here", "SUBSCRIBE")
    assert (message.uri, message.max_forwards, message.body) == (b"", -1, b"")
    assert (message.from_tag, message.to_tag) == (b"1", b"2")
    assert message.next_via() is None


def test_known_methods_are_interned(codec: ModuleType) -> None:
    assert codec.parse(INVITE).method is codec.parse(INVITE).method


def test_second_via_in_a_row_of_its_own(codec: ModuleType) -> None:
    raw = RINGING.replace(
        b"\r\nf:", b",\r\nv: SIP/2.0/TCP h:5070;received=[2001:db8::7];rport=40000;branch=x\r\nf:"
    )
    assert codec.parse(raw).next_via() == ("TCP", b"h", 5070, b"2001:db8::7", 40000)


def test_second_via_that_is_malformed(codec: ModuleType) -> None:
    assert codec.parse(RINGING.replace(b"\r\nf:", b", nonsense\r\nf:")).next_via() is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("contact", [b"<sip:a,b@c>", b'"x, y" <sip:z>', b"sip:w"]),
        ("route", [b"<sip:a;lr>", b"<sip:b;lr>", b"<sip:c;lr>"]),
        ("subject", [b"folded here"]),
        ("x-unknown", [b"1", b"2", b"3"]),
        ("supported", []),
    ],
)
def test_values(codec: ModuleType, name: str, values: list[bytes]) -> None:
    rows = (
        b'm: <sip:a,b@c>, "x, y" <sip:z> ,, sip:w\r\nROUTE:<sip:a;lr>\r\nRoute: <sip:b;lr>,<sip:c;lr>\r\n'
        b"s: folded\r\n\there\r\nX-Unknown: 1,\r\nx-unknown : 2 , 3\r\nX-Unknown-Too: 4\r\nCSeq:"
    )
    message = codec.parse(INVITE.replace(b"CSeq:", rows))
    assert message.values(name) == values
    assert message.has(name) == bool(values)


def test_rows_and_first(codec: ModuleType) -> None:
    message = codec.parse(INVITE.replace(b"CSeq:", b"P: a\r\n  b \r\np:c\r\nCSeq:"))
    assert message.first("p") == b"a b"
    assert message.all("p") == [b"a b", b"c"]
    assert message.rows("p") == [b"P: a\r\n  b ", b"p:c"]
    assert message.first("q") is None


def test_compact_forms_answer_to_the_long_name_only(codec: ModuleType) -> None:
    message = codec.parse(RINGING)
    assert message.has("via")
    assert not message.has("v")


def test_key_is_branch_sent_by_and_method(codec: ModuleType) -> None:
    assert codec.parse(INVITE).key == b"z9hG4bK74bf9 client.example.com:5062 INVITE"


@pytest.mark.parametrize(("method", "shown"), [(b"ACK", b"INVITE"), (b"CANCEL", b"CANCEL"), (b"BYE", b"BYE")])
def test_key_takes_ack_as_invite(codec: ModuleType, method: bytes, shown: bytes) -> None:
    assert codec.parse(INVITE.replace(b"INVITE", method)).key.endswith(b" " + shown)


def test_key_of_a_response_is_that_of_its_request(codec: ModuleType) -> None:
    request = codec.parse(INVITE)
    assert codec.parse(request.reply(200, "OK", b"x", b"192.0.2.5", 99)).key == request.key


@pytest.mark.parametrize("branch", [b"z9hG4bK", b"1", b"Z9hG4bK74bf9"])
def test_key_of_rfc2543_joins_ack_and_invite(codec: ModuleType, branch: bytes) -> None:
    raw = INVITE.replace(b"z9hG4bK74bf9", branch)
    ack = raw.replace(b"INVITE", b"ACK").replace(
        b"To: Bob <sip:bob@example.com>", b"To: <sip:bob@example.com>;tag=9"
    )
    assert codec.parse(raw).key == codec.parse(ack).key
    assert codec.parse(raw).key != codec.parse(raw.replace(b"CSeq: 17", b"CSeq: 18")).key


def test_host_and_port_apart(codec: ModuleType) -> None:
    message = codec.parse(INVITE.replace(b"client.example.com:5062", b"[2001:DB8::1] \r\n : 5062 "))
    assert (message.via_host, message.via_port, message.sent_by) == (
        b"2001:DB8::1",
        5062,
        b"[2001:DB8::1]:5062",
    )


def test_octets_behind_the_body_are_dropped(codec: ModuleType) -> None:
    message = codec.parse(INVITE + b"more")
    assert message.raw == INVITE


def test_crlfs_before_the_start_line_are_dropped(codec: ModuleType) -> None:
    assert codec.parse(b"\r\n\r\n\r\n" + INVITE).raw == INVITE


def test_refusal_can_be_answered(codec: ModuleType) -> None:
    with pytest.raises(ParseError) as caught:
        codec.parse(INVITE.replace(b"Call-ID", b"X-Call"))
    refusal = caught.value
    assert str(refusal) == "400 Missing Call-ID header field"
    assert refusal.message is not None
    answer = refusal.message.reply(refusal.status, refusal.reason, b"t", b"192.0.2.5", 4000)
    assert answer == (
        b"SIP/2.0 400 Missing Call-ID header field\r\n"
        b"Via: SIP/2.0/tcp client.example.com:5062;branch=z9hG4bK74bf9;rport=4000;received=192.0.2.5 ,"
        b" SIP/2.0/UDP [2001:db8::9]\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKold\r\n"
        b'From: "Alice, <sip:no>;tag=no" <sip:alice@example.com;tag=no>;x=1;tag=9fxced76sl\r\n'
        b"To: Bob <sip:bob@example.com>;tag=t\r\n"
        b"CSeq: 17 INVITE\r\n"
        b"Content-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    "change", [(b"INVITE", b"ACK"), (b"Via", b"X"), (b"INVITE sip:", b"SIP/2.0 200 sip:")]
)
def test_refusal_that_is_met_with_silence(codec: ModuleType, change: tuple[bytes, bytes]) -> None:
    with pytest.raises(ParseError) as caught:
        codec.parse(INVITE.replace(b"Call-ID", b"X-Call").replace(*change))
    assert caught.value.message is None


def test_refusal_because_of_via_leaves_it_unstamped(codec: ModuleType) -> None:
    with pytest.raises(ParseError) as caught:
        codec.parse(INVITE.replace(b";rport ,", b";rport;; ,"))
    assert caught.value.message is not None
    assert b"received" not in caught.value.message.reply(400, "No", b"t", b"192.0.2.5", 1)


@pytest.mark.parametrize(
    ("header", "length"),
    [
        (b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 12", 12),
        (b"OPTIONS sip:a SIP/2.0\r\nL\t:\r\n 007\r\nX: 1", 7),
        (b"OPTIONS sip:a SIP/2.0\r\nX: 1\r\n l: 5", -1),
        (b"OPTIONS sip:a SIP/2.0\r\nContent-Length", -1),
        (b"OPTIONS sip:a SIP/2.0\r\nContent-Length: -1", -2),
        (b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 99999999999999999999", -2),
        (b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 1\r\nl: 1", -3),
    ],
)
def test_body_length(codec: ModuleType, header: bytes, length: int) -> None:
    assert codec.body_length(header) == length
