"""Requests that follow from one already sent: the ACK of a refusal and the CANCEL (RFC 3261 17.1.1.3, 9.1).

They repeat the sent request's Request-URI, its one Via value, Route, From and Call-ID, and its CSeq number.
"""

from __future__ import annotations

from typing import Protocol


class Sent(Protocol):
    """What is needed of a message; both codecs have it."""

    @property
    def uri(self) -> bytes: ...
    @property
    def cseq(self) -> int: ...
    @property
    def top_via(self) -> bytes: ...
    def rows(self, name: str) -> list[bytes]: ...


def ack_for(request: Sent, response: Sent) -> bytes:
    """The ACK of a non-2xx final response; its To, with the tag, is that of the response."""
    return _follow(b"ACK", request, response.rows("to")[0], b"")


def cancel_for(request: Sent, insert: bytes) -> bytes:
    """The CANCEL of a request; ``insert`` are complete lines, such as Reason."""
    return _follow(b"CANCEL", request, request.rows("to")[0], insert)


def _follow(method: bytes, request: Sent, to: bytes, insert: bytes) -> bytes:
    rows = [
        b"%b %b SIP/2.0" % (method, request.uri),
        b"Via: " + request.top_via,
        b"Max-Forwards: 70",
        *request.rows("route"),
        *request.rows("from"),
        to,
        *request.rows("call-id"),
        b"CSeq: %d %b" % (request.cseq, method),
    ]
    return b"\r\n".join(rows) + b"\r\n" + insert + b"Content-Length: 0\r\n\r\n"
