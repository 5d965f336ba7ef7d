"""Cutting a stream into messages (RFC 3261 18.3) and telling keep-alives apart (RFC 5626 3.5.1)."""

from __future__ import annotations

import re
from typing import Final

from node.sip.codec import body_length, whole
from node.sip.codec_python import answerable
from node.sip.errors import ParseError

PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"
_HEADER_END: Final = b"\r\n\r\n"
_crlfs = re.compile(rb"(?:\r\n)*").match
_begins_message = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]").match
_FAULTS: Final = {
    -1: "Missing Content-Length header field",
    -2: "Malformed Content-Length header field",
    -3: "More than one Content-Length header field",
}


class Framer:
    """One direction of one connection: feed it octets as they come, get whole messages and keep-alives.

    ``max_message`` bounds header plus body in octets, and with it what is held. Once ParseError was raised
    the stream is lost (nobody knows where the next message begins): answer ``error.message`` if there is one,
    and close.
    """

    __slots__ = ("_buffer", "_max", "_pong", "_seen", "_whole", "fault")

    def __init__(self, max_message: int) -> None:
        self._buffer = bytearray()
        self._max = max_message
        self._seen = 0  # octets already searched for the end of the header
        self._whole = 0  # length of the message being collected, once its header is complete
        self.fault: ParseError | None = None
        self._pong = False  # the octets fed last ended with a single CRLF: half a ping, perhaps

    @property
    def pending(self) -> int:
        """Octets held of a message that is not yet whole."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """What ``data`` completes: messages, ``PING`` and ``PONG`` in order of arrival.

        A lone CRLF counts as a pong at once; when the next octets are another CRLF it was half a ping. A run
        of CRLFs is one ping. Raises ParseError 400 (not SIP; no, repeated or malformed Content-Length), 413
        or 513 (more than ``max_message``). Messages completed in the same call come first: then the fault
        waits in ``fault`` and is raised by the next call, whatever it feeds.
        """
        if self._buffer or self.fault:
            return self._collect(data, [])
        end = whole(data, 0, self._max)  # nothing is held, so most often this is all there is to do
        if not end:
            return self._collect(data, [])
        self._pong = False
        if end == len(data):
            return [data]
        return self._split(data, end)

    def _split(self, data: bytes, end: int) -> list[bytes]:
        """Cut the whole messages off ``data``, the first of which ends at ``end``; collect the rest."""
        out, at = [], 0
        while end:
            out.append(data[at:end])
            at, end = end, whole(data, end, self._max)
        return self._collect(data[at:], out)

    def _collect(self, data: bytes, out: list[bytes]) -> list[bytes]:
        """Hold ``data`` and add to ``out`` what it completes."""
        try:
            if self.fault:
                raise self.fault
            self._buffer += data
            while self._buffer and self._take(out):
                pass
        except ParseError as fault:
            self._buffer.clear()
            self.fault = fault
            if not out:
                raise
        return out

    def _take(self, out: list[bytes]) -> bool:
        """Cut one element off the buffer; False if more octets are needed."""
        buffer = self._buffer
        if buffer[0] == 0x0D:
            return self._keep_alive(out)
        self._pong = False
        if not self._whole and not self._measure():
            return False
        if len(buffer) < self._whole:
            return False
        out.append(bytes(buffer[: self._whole]))
        del buffer[: self._whole]
        self._whole = self._seen = 0
        return True

    def _keep_alive(self, out: list[bytes]) -> bool:
        run = _crlfs(self._buffer)
        length = run.end() if run else 0
        if not length:
            if len(self._buffer) > 1:
                raise ParseError(400, "Not a SIP message")
            return False
        ping = length > 2 or self._pong
        out.append(PING if ping else PONG)
        self._pong = not ping
        del run, self._buffer[:length]
        return True

    def _measure(self) -> bool:
        """Learn the length of the message at the front; False if its header is not complete."""
        buffer = self._buffer
        if not _begins_message(buffer):
            raise ParseError(400, "Not a SIP message")
        end = buffer.find(_HEADER_END, self._seen)
        if (end + 4 if end >= 0 else len(buffer)) > self._max:
            raise ParseError(
                513, f"Header larger than {self._max} octets", answerable(bytes(buffer[: self._max]))
            )
        if end < 0:
            self._seen = max(0, len(buffer) - 3)
            return False
        header = bytes(buffer[:end])
        length = body_length(header)
        if length < 0:
            raise ParseError(400, _FAULTS[length], answerable(header + _HEADER_END))
        self._whole = end + 4 + length
        if self._whole > self._max:
            raise ParseError(413, f"Message larger than {self._max} octets", answerable(header + _HEADER_END))
        return True
