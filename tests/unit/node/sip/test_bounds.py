"""Hostile size: nothing is quadratic.

At these sizes a scan that starts over at every octet would not end within the time limit.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from node.sip.errors import ParseError
from node.sip.framing import Framer

pytestmark = pytest.mark.timeout(30)

MANY = 200_000
HEADER = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx%b\r\nFrom: %b<sip:a@b>;tag=1\r\n"
    b"To: <sip:b@c>%b\r\nCall-ID: c\r\nCSeq: %b1 OPTIONS\r\nRoute: %b\r\nP: %b\r\nContent-Length: %b0\r\n\r\n"
)
HOSTILE = {
    "parameters": (b";x" * MANY, b"", b";x=y" * MANY, b"", b"", b"", b""),
    "via values": (b", SIP/2.0/UDP h" * MANY, b"", b"", b"", b"", b"", b""),
    "digits": (b"", b"", b"", b"0" * MANY, b"", b"", b"0" * MANY),
    "quotes": (b"", b'"a\\"b" ' * MANY, b"", b"", b'"' * MANY, b'\\"' * MANY, b""),
    "open quote": (b"", b'"' + b"\\a" * MANY, b"", b"", b"", b"", b""),
    "brackets and commas": (b"", b"", b"", b"", b"<sip:a>," * MANY, b"," * MANY, b""),
    "open brackets": (b"", b"", b"", b"", b"<" * MANY, b"<" * MANY, b""),
    "white space": (
        b" \t" * MANY,
        b" " * MANY,
        b" " * MANY,
        b" " * MANY,
        b" " * MANY,
        b" " * MANY,
        b" " * MANY,
    ),
    "folds": (b"\r\n " * MANY, b"\r\n\t" * MANY, b"\r\n " * MANY, b"\r\n " * MANY, b"", b"\r\n " * MANY, b""),
    "bare line feeds": (b"", b"", b"", b"", b"", b"\n" * MANY, b""),
    "bare carriage returns": (b"", b"", b"", b"", b"", b"\r" * MANY, b""),
    "header fields": (b"", b"", b"", b"", b"", b"\r\nY: z" * MANY, b""),
    "folded start": (b"", b"", b"", b"", b"", b"\r\n : " * MANY, b""),
}


def exercise(message: Any) -> None:
    """Look at and make everything."""
    for name in ("via", "route", "p", "from", "unknown"):
        message.first(name), message.all(name), message.values(name), message.rows(name)
    message.next_via(), message.key, message.via_count
    message.reply(400, "Bad", b"t", b"192.0.2.1", 1)
    if message.uri and message.cseq:
        message.forward(b"sip:x", b"Via: v", 1, b"192.0.2.1", 1, MANY // 2, b"", ("y",))
        message.pop_via(), message.cancel()


@pytest.mark.parametrize("shape", HOSTILE)
def test_hostile_header(codec: ModuleType, shape: str) -> None:
    raw = HEADER % HOSTILE[shape]
    codec.body_length(raw)
    try:
        exercise(codec.parse(raw))
    except ParseError as refusal:
        if refusal.message:
            exercise(refusal.message)


@pytest.mark.parametrize("count", [256, 257])
def test_header_fields_are_counted(codec: ModuleType, count: int) -> None:
    raw = HEADER.replace(b"%b", b"").replace(b"P: \r\n", b"P: \r\n" * (count - 7))
    if count <= 256:
        assert len(codec.parse(raw).rows("p")) == count - 7
    else:
        with pytest.raises(ParseError, match="400 More than 256 header fields"):
            codec.parse(raw)


@pytest.mark.parametrize("size", [0, 1, 65535])
def test_every_prefix_of_a_message_is_survived(codec: ModuleType, size: int) -> None:
    raw = (HEADER % ((b"",) * 7))[: size or None]
    for end in range(len(raw)):
        with pytest.raises(ParseError):
            codec.parse(raw[:end])


def test_one_octet_at_a_time() -> None:
    framer = Framer(100_000)
    for octet in (HEADER % HOSTILE["parameters"])[:90_000]:
        assert framer.feed(bytes([octet])) == []
    assert framer.pending == 90_000
