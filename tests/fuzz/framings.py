"""What must hold of the framer, whatever the stream and however it is cut."""

from __future__ import annotations

from node.sip.errors import ParseError
from node.sip.framing import PING, PONG, Framer

LIMIT = 2000


def told(stream: bytes, step: int) -> tuple[list[bytes], tuple[int, str] | None]:
    """Messages that a stream fed ``step`` octets at a time gives, and how it ended."""
    framer = Framer(LIMIT)
    messages: list[bytes] = []
    try:
        for at in range(0, len(stream), step):
            messages += framer.feed(stream[at : at + step])
            assert framer.pending <= LIMIT + step
        messages += framer.feed(b"")
    except ParseError as fault:
        return [message for message in messages if message not in (PING, PONG)], (fault.status, fault.reason)
    return [message for message in messages if message not in (PING, PONG)], None


def one_stream(data: bytes) -> None:
    """Check the stream ``data[1:]``, cut into pieces of ``data[0]`` octets and as a whole."""
    if len(data) < 2:
        return
    whole = told(data[1:], len(data))
    pieces = told(data[1:], data[0] % 64 + 1)
    assert whole == pieces, f"cut {whole!r}, whole {pieces!r}"
    assert all(len(message) <= LIMIT for message in whole[0])
    rest = data[1:]
    for message in whole[0]:  # nothing but line ends is lost between messages
        at = rest.index(message)
        assert not rest[:at].strip(b"\r\n")
        rest = rest[at + len(message) :]
