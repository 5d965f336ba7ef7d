"""STUN on UDP: requests are read and answered in batches."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Final

from relay.address import Address
from relay.sockets import open_socket
from relay.stun.answer import Local, answer
from relay.stun.limit import SourceLimit
from relay.stun.message import COOKIE, Attribute, address_value, attribute

_BATCH: Final = 64
_LARGEST: Final = 1500
_PLAIN: Final = b"\x00\x01\x00\x00" + COOKIE  # a request without attributes: what nearly all clients send
_REMEMBERED: Final = 4096
_FROM_V4: Final = b"\x01\x01\x00\x0c" + COOKIE


class StunSocket:
    """One UDP socket of the server. `others`: the sockets by address, for answers that leave elsewhere."""

    def __init__(
        self, host: str, port: int, limit: SourceLimit, software: bytes, others: dict[Address, StunSocket]
    ) -> None:
        """OSError if the address cannot be had."""
        self.socket = open_socket(host, port, dscp=0, buffer=1 << 20)
        self.address = Address(*self.socket.getsockname()[:2])
        self.local: Local | None = None
        self.answered = self.dropped = self.limited = 0
        self._limit, self._software, self._others = limit, software, others
        self._mapped: dict[
            tuple[str, int], bytes
        ] = {}  # source -> XOR-MAPPED-ADDRESS, by IPv4 always the same
        self._v4 = self.socket.family == socket.AF_INET

    def readable(self) -> None:
        """Answer what waits, up to a batch."""
        receive, send = self.socket.recvfrom, self.socket.sendto
        passes, mapped = self._limit.passes, self._mapped
        quick = self._v4 and self.local is None
        now = time.monotonic()
        for _ in range(_BATCH):
            try:
                data, source = receive(_LARGEST)
            except OSError:
                return
            if not passes(source[0], now):
                self.limited += 1
                continue
            if quick and data[:8] == _PLAIN and len(data) == 20:
                value = mapped.get(source) or self._remember(source)
                try:
                    send(_FROM_V4 + data[8:] + value, source)
                    self.answered += 1
                except OSError:
                    self.dropped += 1
            else:
                self._answer(data, source)

    def _answer(self, data: bytes, source: tuple[str, int]) -> None:
        found = answer(data, Address(source[0], source[1]), self.local, software=self._software)
        if found is None:
            self.dropped += 1
            return
        leaving = self._others.get(found.origin, self) if found.origin is not None else self
        to = (source[0], found.port, *source[2:]) if found.port else source
        try:
            leaving.socket.sendto(found.data, to)
            self.answered += 1
        except OSError:
            self.dropped += 1

    def _remember(self, source: tuple[str, int]) -> bytes:
        plain = address_value(Address(*source))
        mask = COOKIE[:2] + COOKIE
        mixed = plain[:2] + bytes(one ^ key for one, key in zip(plain[2:], mask, strict=True))
        if len(self._mapped) >= _REMEMBERED:
            self._mapped.clear()
        value = self._mapped[source] = attribute(Attribute.XOR_MAPPED_ADDRESS, mixed)
        return value

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self.socket.fileno())
        self.socket.close()
