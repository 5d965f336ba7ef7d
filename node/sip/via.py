"""One Via value: who sent the message, over what, and where the answer goes (RFC 3261 20.42, RFC 3581)."""

from __future__ import annotations

import re
from typing import Final

from node.sip.errors import ParseError
from node.sip.grammar import PARAMS, TOKEN, WHITE, WS, number, params_in

_HEAD: Final = (
    WS + rb"SIP" + WS + rb"/" + WS + rb"2\.0" + WS + rb"/" + WS + rb"(" + TOKEN + rb")[ \t\r\n]++"
    rb"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._\-]++)" + WS
)
_VIA = re.compile(
    _HEAD + rb"(?::" + WS + rb"([0-9]{1,5}+)" + WS + rb")?" + PARAMS + rb"(?:,|\Z)", re.I | re.S
)
_USABLE = re.compile(_HEAD, re.I)
_KEPT: Final = (b"branch", b"received", b"rport")


def usable(line: bytes, at: int) -> bool:
    """Whether a Via tells at least transport and host, so that a refusal can go back along it."""
    return _USABLE.match(line, at) is not None


class Via:
    """The Via value that begins at ``at`` in ``line``; raises ParseError 400 if it is not one.

    ``end`` is where the value ends (white space trimmed), ``next`` where the text after its comma begins, or
    -1.
    """

    __slots__ = (
        "branch",
        "end",
        "host",
        "line",
        "next",
        "port",
        "received",
        "rport",
        "sent_by",
        "spans",
        "start",
        "transport",
    )

    def __init__(self, line: bytes, at: int) -> None:
        found = _VIA.match(line, at)
        port = number(found[3] or b"0", 65535) if found else -1
        if not found or port < 0:
            raise ParseError(400, "Malformed Via header field")
        host: bytes = found[2]
        self.line = line
        self.transport: str = found[1].decode().upper()
        self.port = port
        self.sent_by: bytes = host if found[3] is None else host + b":" + found[3]
        self.host = host[1:-1] if host[:1] == b"[" else host
        self.start = len(line) - len(line[at:].lstrip(WHITE))
        self.end = len(line[: found.end(4)].rstrip(WHITE))
        self.next = found.end() if line[found.end(4) : found.end()] == b"," else -1
        self.spans: dict[bytes, tuple[int, int]] = {}
        self._read(found.start(4), found.end(4))

    def _read(self, start: int, end: int) -> None:
        values: dict[bytes, bytes] = {}
        for param in params_in(self.line, start, end):
            name = param[1].lower()
            if name in _KEPT and name not in values:
                values[name] = param[2] or b""
                self.spans[name] = (param.start(1), len(self.line[: param.end()].rstrip(WHITE)))
        self.branch = values.get(b"branch", b"")
        received = values.get(b"received", b"")
        self.received = received[1:-1] if received[:1] == b"[" and received[-1:] == b"]" else received
        self.rport = max(0, number(values.get(b"rport", b""), 65535))

    def stamped(self, received: bytes, rport: int) -> bytes:
        """The row up to the end of this value, with the source address written in (RFC 3261 18.2.1, 3581 4).

        ``received`` is added when the sent-by host differs from it or rport is asked for, and rport is filled
        in. What the sender wrote there itself is replaced: it cannot know better. An empty ``received``
        stamps nothing.
        """
        line, spans = self.line, self.spans
        differs = b"received" in spans or b"rport" in spans or self.host.lower() != received.lower()
        if not received or not differs:
            return line[: self.end]
        edits = {b"received": b"received=" + received, b"rport": b"rport=%d" % rport}
        parts: list[bytes] = []
        at = 0
        for name, (start, end) in sorted(spans.items(), key=lambda span: span[1]):
            if name in edits:
                parts += (line[at:start], edits[name])
                at = end
        parts.append(line[at : self.end])
        if b"received" not in spans:
            parts.append(b";received=" + received)
        return b"".join(parts)
