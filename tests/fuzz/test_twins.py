"""The compiled codec and its Python twin agree byte for byte and error for error."""

from __future__ import annotations

import pytest
from corpus import FRAGMENTS, MESSAGES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("node.sip._codec", reason="the codec is not compiled here: there is only one twin")

from differential import disagreement

quick = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))

WHITE = st.sampled_from([b"", b"", b"", b" ", b"\t", b"\r\n ", b" \r\n\t"])
HOST = st.sampled_from(
    [b"192.0.2.1", b"h.example.com", b"[2001:db8::9]", b"[::ffff:192.0.2.1]", b"192.0.2.77"]
)
VALUE = st.sampled_from(
    [b"a", b'"q,;<>"', b'"\\""', b"", b"z9hG4bKx", b"192.0.2.9", b"[::1]", b"5060", b"70000"]
)
NAME = st.sampled_from(
    [b"branch", b"Branch", b"rport", b"RPORT", b"received", b"tag", b"Tag", b"lr", b"x", b"ttl"]
)
URI = st.sampled_from([b"sip:a@b", b"sip:a@b;tag=no", b"sips:[::1]:5061", b"tel:+1", b"name:x", b"sip:a,b@c"])


@st.composite
def parameters(draw: st.DrawFn) -> bytes:
    out = b""
    for name in draw(st.lists(NAME, max_size=4)):
        out += draw(WHITE) + b";" + draw(WHITE) + name
        if draw(st.booleans()):
            out += draw(WHITE) + b"=" + draw(WHITE) + draw(VALUE)
    return out


@st.composite
def via(draw: st.DrawFn) -> bytes:
    port = draw(st.sampled_from([b"", b":5060", b" : 5070", b":0", b":00080", b":65536"]))
    protocol = draw(st.sampled_from([b"SIP/2.0/UDP ", b"sip / 2.0 / tcp ", b"SIP/2.0/TLS-SCTP\r\n "]))
    return draw(WHITE) + protocol + draw(HOST) + port + draw(parameters()) + draw(WHITE)


@st.composite
def address(draw: st.DrawFn) -> bytes:
    display = draw(
        st.sampled_from([b"", b"Al ", b'"A \\" <x>;tag=q, " ', b"Bell, A ", b'"open ', b"\xff\xfe "])
    )
    uri = draw(URI)
    return (
        draw(WHITE)
        + draw(st.sampled_from([uri, display + b"<" + uri + b">"]))
        + draw(parameters())
        + draw(WHITE)
    )


@st.composite
def rows(draw: st.DrawFn) -> bytes:
    """One header field that is mostly right."""
    kind = draw(st.integers(0, 7))
    if kind == 0:
        name, value = (
            draw(st.sampled_from([b"Via", b"v", b"VIA "])),
            b",".join(draw(st.lists(via(), max_size=3))),
        )
    elif kind == 1:
        name, value = draw(st.sampled_from([b"Route", b"ROUTE", b"Contact", b"m", b"Record-Route"])), b""
        value = b",".join(draw(st.lists(address(), max_size=3)))
    else:
        name, value = draw(
            st.sampled_from(
                [
                    (b"Max-Forwards", b" 70"),
                    (b"max-forwards", b"0007 "),
                    (b"Content-Length", b" 4"),
                    (b"l", b"0"),
                    (b"Subject", b" hi\r\n there"),
                    (b"s", b""),
                    (b"X-Odd", b' "a,b", c'),
                    (b"x-odd \t", b",,"),
                    (b"Timestamp", b" 54.2"),
                    (b"UnknownHeader", b"\0\xff"),
                    (b"X", b"1"),
                ]
            )
        )
    return name + b":" + value


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from([b"INVITE", b"ACK", b"REGISTER", b"X-%0"]))
    start = draw(
        st.sampled_from([method + b" sip:b@c SIP/2.0", b"SIP/2.0 183 Session Progress", b"SIP/2.0 200"])
    )
    header = [
        b"Via:" + draw(via()),
        draw(st.sampled_from([b"From:", b"f :"])) + draw(address()),
        draw(st.sampled_from([b"To:", b"t\t:"])) + draw(address()),
        b"Call-ID: " + draw(st.sampled_from([b"a@b", b"x", b"\r\n y"])),
        b"CSeq:" + draw(WHITE) + b"7 " + draw(WHITE) + method,
        *draw(st.lists(rows(), max_size=6)),
    ]
    return (
        b"\r\n".join([start, *draw(st.permutations(header))])
        + b"\r\n\r\n"
        + draw(st.sampled_from([b"", b"body"]))
    )


@st.composite
def mutated(draw: st.DrawFn, base: st.SearchStrategy[bytes]) -> bytes:
    raw = bytearray(draw(base))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        length = draw(st.sampled_from([0, 0, 1, 2, 7]))
        raw[at : at + length] = draw(st.sampled_from((b"", *FRAGMENTS)))
    return bytes(raw)


@pytest.mark.parametrize("raw", MESSAGES)
def test_torture_messages(raw: bytes) -> None:
    assert disagreement(raw) == ""


@quick
@given(messages())
def test_generated_messages(raw: bytes) -> None:
    assert disagreement(raw) == ""


@quick
@given(mutated(st.sampled_from(MESSAGES)))
def test_mutated_torture_messages(raw: bytes) -> None:
    assert disagreement(raw) == ""


@quick
@given(mutated(messages()))
def test_mutated_generated_messages(raw: bytes) -> None:
    assert disagreement(raw) == ""


@quick
@given(st.binary(max_size=300))
def test_arbitrary_octets(raw: bytes) -> None:
    assert disagreement(raw) == ""
