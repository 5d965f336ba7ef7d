"""STUN on TCP and TLS (RFC 8489 6.2.2): messages one after the other on a connection."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from relay.address import Address
from relay.stun.answer import answer
from relay.stun.limit import SourceLimit

_LARGEST: Final = 1500
_IDLE: Final = 30.0  # s without a whole message
_UNREAD: Final = 65_536  # octets of answers that a client has not taken


class Connections:
    """What all connections of a server share."""

    def __init__(self, limit: SourceLimit, software: bytes, most: int) -> None:
        self.limit, self.software, self.most = limit, software, most
        self.open: set[StunConnection] = set()
        self.answered = 0


class StunConnection(asyncio.Protocol):
    """One connection. It ends when the client says what is no STUN, is silent, or asks too much."""

    def __init__(self, shared: Connections) -> None:
        self._shared = shared
        self._transport: asyncio.Transport | None = None
        self._source = Address("0.0.0.0", 0)
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._source = Address(*transport.get_extra_info("peername")[:2])
        if len(self._shared.open) >= self._shared.most:
            transport.abort()
            return
        self._shared.open.add(self)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.open.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 20:
            size = 20 + int.from_bytes(self._buffer[2:4], "big")
            if self._buffer[0] >= 0x40 or size > _LARGEST or size % 4:
                self.abort()
                return
            if len(self._buffer) < size:
                return
            message, self._buffer = self._buffer[:size], self._buffer[size:]
            if not self._answer(message):
                self.abort()
                return
            self._wait()

    def _answer(self, message: bytes) -> bool:
        """False where the connection has to end."""
        shared, transport = self._shared, self._transport
        if transport is None or not shared.limit.passes(self._source.host, time.monotonic()):
            return False
        found = answer(message, self._source, software=shared.software, datagram=False)
        if found is not None:
            transport.write(found.data)
            shared.answered += 1
        return transport.get_write_buffer_size() <= _UNREAD

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_IDLE, self.abort)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
