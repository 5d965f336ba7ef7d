"""A connection of a stand-in that takes every push and judges none: for measuring what a push costs.

HTTP/2 without the state machine of h2: frames are read in place, the header compression is real (what it
costs the sender is part of the measurement), and each answer is made of fixed octets. It is to be met by
well-behaved clients only, whose bodies are below 64 KiB, and knows no faults but the black hole.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, cast

import hpack

from tests.standins.exchange import Request

if TYPE_CHECKING:
    from tests.standins.standin import StandIn

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20
WINDOW = 65_535
OK = b"\x88"  # ":status: 200", HPACK's static table
APNS_ID = b"\x00\x07apns-id"  # a name that no table keeps
STREAMS = 1000


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """RFC 9113 4.1."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


class FastLink(asyncio.Protocol):
    """Notes (token, time) of each push in `came` of the stand-in."""

    def __init__(self, standin: StandIn) -> None:
        self.standin = standin
        self.answer_body = standin.fast_answer
        self.buffer = bytearray()
        self.greeted = False
        self.over = False
        self.block = b""  # of header fields that go on in CONTINUATION
        self.ending = False
        self.paths: dict[int, str] = {}
        self.told: dict[int, bytes] = {}  # the apns-id of a push, by which clients know its answer
        self.bodies: dict[int, bytes] = {}
        self.room = WINDOW  # octets that the client gives us for bodies
        self.unsent: deque[tuple[int, bytes]] = deque()
        self.taken = 0  # octets to be credited to the client
        self.out: list[bytes] = []
        self.decoder = hpack.Decoder()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.number = self.standin.connected(self)
        streams = (3).to_bytes(2, "big") + STREAMS.to_bytes(4, "big")
        transport_window = frame(WINDOW_UPDATE, 0, 0, (1 << 20).to_bytes(4, "big"))
        self.transport.write(frame(SETTINGS, 0, 0, streams) + transport_window)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        self.standin.disconnected(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.greeted:
            if len(self.buffer) < len(PREFACE):
                return
            if not self.buffer.startswith(PREFACE):
                self.transport.abort()
                return
            del self.buffer[: len(PREFACE)]
            self.greeted = True
        self._frames(bytes(self.buffer))
        if self.taken:
            self.out.append(frame(WINDOW_UPDATE, 0, 0, self.taken.to_bytes(4, "big")))
            self.taken = 0
        if self.out and not self.over:
            self.transport.write(b"".join(self.out))
        self.out.clear()

    def _frames(self, octets: bytes) -> None:
        """Reads whole frames and keeps the rest."""
        at, size = 0, len(octets)
        while size - at >= 9:
            end = at + 9 + int.from_bytes(octets[at : at + 3], "big")
            if end > size:
                break
            stream = int.from_bytes(octets[at + 5 : at + 9], "big")
            self._frame(octets[at + 3], octets[at + 4], stream, octets[at + 9 : end])
            at = end
        self.buffer = bytearray(octets[at:])

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            self.taken += len(payload)
            body = _unpadded(payload, flags)
            self.bodies[stream] = self.bodies[stream] + body if stream in self.bodies else body
            if flags & END_STREAM:
                self._arrived(stream)
        elif kind == HEADERS:
            self.ending = bool(flags & END_STREAM)
            self._block(_unpadded(payload, flags)[5 if flags & PRIORITY else 0 :], flags, stream)
        elif kind == CONTINUATION:
            self._block(payload, flags, stream)
        elif kind == SETTINGS and not flags & ACK:
            self.out.append(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self.out.append(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and not stream:
            self.room += int.from_bytes(payload, "big")
            self._send_unsent()
        elif kind == RESET:
            for kept in (self.paths, self.bodies, self.told):
                kept.pop(stream, None)

    def _block(self, part: bytes, flags: int, stream: int) -> None:
        self.block += part
        if not flags & END_HEADERS:
            return
        fields = self.decoder.decode(self.block, raw=True)
        self.block = b""
        for name, value in fields:
            if name == b":path":
                self.paths[stream] = bytes(value).decode()
            elif name == b"apns-id" and len(value) < 127:
                self.told[stream] = APNS_ID + bytes([len(value)]) + bytes(value)
        if self.ending:
            self._arrived(stream)

    def _arrived(self, stream: int) -> None:
        path, body = self.paths.pop(stream, ""), self.bodies.pop(stream, b"")
        if not path:
            return  # the client took it back
        request = Request(self.number, "POST", path, [], body)
        if self.standin.is_grant(request):
            self._answer(stream, self.standin.grant(request).body)
            return
        self.standin.came.append((self.standin.token_of(request), time.time()))
        self._answer(stream, self.answer_body)

    def _answer(self, stream: int, body: bytes) -> None:
        flags = END_HEADERS | (0 if body else END_STREAM)
        self.out.append(frame(HEADERS, flags, stream, OK + self.told.pop(stream, b"")))
        if body:
            self.unsent.append((stream, body))
            self._send_unsent()

    def _send_unsent(self) -> None:
        while self.unsent and len(self.unsent[0][1]) <= self.room:
            stream, body = self.unsent.popleft()
            self.room -= len(body)
            self.out.append(frame(DATA, END_STREAM, stream, body))


def _unpadded(payload: bytes, flags: int) -> bytes:
    return payload[1 : len(payload) - payload[0]] if flags & PADDED else payload
