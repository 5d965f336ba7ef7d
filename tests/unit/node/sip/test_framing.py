"""Messages and keep-alives out of a stream."""

from __future__ import annotations

from types import ModuleType

import pytest

from node.sip.errors import ParseError
from node.sip.framing import PING, PONG, Framer

HEADER = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:b@c>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n%b\r\n"
)
MESSAGE = HEADER % b"Content-Length: 4\r\n" + b"body"


def test_messages_in_one_piece() -> None:
    assert Framer(1000).feed(MESSAGE + MESSAGE) == [MESSAGE, MESSAGE]


def test_a_message_that_comes_alone_is_not_copied() -> None:
    assert Framer(1000).feed(MESSAGE)[0] is MESSAGE


def test_rest_of_a_piece_is_held() -> None:
    framer = Framer(1000)
    assert framer.feed(MESSAGE + MESSAGE + MESSAGE[:9]) == [MESSAGE, MESSAGE]
    assert framer.pending == 9
    assert framer.feed(MESSAGE[9:] + b"\r\n") == [MESSAGE, PONG]


def test_message_as_long_as_allowed() -> None:
    assert Framer(len(MESSAGE)).feed(MESSAGE + MESSAGE) == [MESSAGE, MESSAGE]
    with pytest.raises(ParseError, match="413"):
        Framer(len(MESSAGE) - 1).feed(MESSAGE)


@pytest.mark.parametrize(
    ("data", "at", "most", "end"),
    [
        (MESSAGE, 0, len(MESSAGE), len(MESSAGE)),
        (MESSAGE + b"more", 0, 1000, len(MESSAGE)),
        (b"more" + MESSAGE, 4, 1000, 4 + len(MESSAGE)),
        (MESSAGE, 0, len(MESSAGE) - 1, 0),
        (MESSAGE[:-1], 0, 1000, 0),
        (MESSAGE, len(MESSAGE), 1000, 0),
        (HEADER % b"", 0, 1000, 0),
        (HEADER % b"l: 0\r\nl: 0\r\n", 0, 1000, 0),
        (HEADER % b"l: 0x\r\n", 0, 1000, 0),
        (HEADER % b"l:\r\n 3 \r\n" + b"abc", 0, 1000, len(HEADER) - 2 + 9 + 3),
        (b"\r\n" + MESSAGE, 0, 1000, 0),
        (b"", 0, 1000, 0),
    ],
)
def test_whole(codec: ModuleType, data: bytes, at: int, most: int, end: int) -> None:
    assert codec.whole(data, at, most) == end


def test_message_in_pieces() -> None:
    framer = Framer(1000)
    out = [message for octet in MESSAGE + MESSAGE for message in framer.feed(bytes([octet]))]
    assert out == [MESSAGE, MESSAGE]
    assert framer.pending == 0


def test_pending_is_what_is_held() -> None:
    framer = Framer(1000)
    framer.feed(MESSAGE[:50])
    assert framer.pending == 50


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ([b"\r\n\r\n"], [PING]),
        ([b"\r\n"], [PONG]),
        ([b"\r\n", b"\r\n"], [PONG, PING]),
        ([b"\r", b"\n", b"\r", b"\n"], [PONG, PING]),
        ([b"\r\n\r\n\r\n\r\n"], [PING]),
        ([b"\r\n" + MESSAGE + b"\r\n"], [PONG, MESSAGE, PONG]),
        ([b"\r\n\r\n" + MESSAGE, b"\r\n"], [PING, MESSAGE, PONG]),
    ],
)
def test_keep_alives(pieces: list[bytes], told: list[bytes]) -> None:
    framer = Framer(1000)
    assert [message for piece in pieces for message in framer.feed(piece)] == told


@pytest.mark.parametrize(
    ("stream", "status", "reason", "answered"),
    [
        (HEADER % b"", 400, "Missing Content-Length header field", True),
        (HEADER % b"l: x\r\n", 400, "Malformed Content-Length header field", True),
        (HEADER % b"l: 4\r\nContent-Length: 4\r\n", 400, "More than one Content-Length header field", True),
        (HEADER % b"l: 1000\r\n", 413, "Message larger than 1000 octets", True),
        (HEADER % (b"X: " + b"x" * 1000 + b"\r\n"), 513, "Header larger than 1000 octets", True),
        (b"x" * 1001, 513, "Header larger than 1000 octets", False),
        (b"\x16\x03\x01", 400, "Not a SIP message", False),
        (b"\rx", 400, "Not a SIP message", False),
        ((HEADER % b"").replace(b"OPTIONS", b"ACK"), 400, "Missing Content-Length header field", False),
    ],
)
def test_stream_that_is_lost(stream: bytes, status: int, reason: str, answered: bool) -> None:
    with pytest.raises(ParseError) as caught:
        Framer(1000).feed(stream)
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert (caught.value.message is not None) == answered


def test_messages_before_the_fault_come_first() -> None:
    framer = Framer(1000)
    assert framer.feed(MESSAGE + b"\0") == [MESSAGE]
    assert framer.fault is not None
    with pytest.raises(ParseError, match="Not a SIP message"):
        framer.feed(b"")


def test_nothing_is_held_once_the_stream_is_lost() -> None:
    framer = Framer(1000)
    for _ in range(3):
        with pytest.raises(ParseError):
            framer.feed(b"\0" * 500)
    assert framer.pending == 0
