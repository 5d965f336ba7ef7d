"""Datagrams of one socket in plain Python: the twin of `_udp.pyx`, where no compiler was."""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import Final

BATCH: Final = 64
_LARGEST: Final = 65535

Address = tuple[str | int, ...]


class Datagrams:
    """Reads and writes in batches. Addresses are what the socket module uses; treat them as opaque keys."""

    __slots__ = ("_socket",)

    def __init__(self, sock: socket.socket) -> None:
        """``sock`` is bound and non-blocking, and outlives this object."""
        self._socket = sock

    def receive(self) -> list[tuple[bytes, Address]]:
        """Up to 64 datagrams that wait, with the address each came from. Never raises OSError."""
        receive = self._socket.recvfrom
        batch: list[tuple[bytes, Address]] = []
        while len(batch) < BATCH:
            try:
                batch.append(receive(_LARGEST))
            except OSError:  # nothing left, or an ICMP error that is of no use here
                break
        return batch

    def send(self, queue: list[tuple[bytes, Address]], start: int) -> int:
        """Send ``queue[start:]`` in order, up to 64. How many left; if none could, the errno, negative."""
        send = self._socket.sendto
        sent = 0
        for data, address in queue[start : start + BATCH]:
            try:
                send(data, address)
            except OSError as error:
                return sent or -(error.errno or errno.EIO)
            sent += 1
        return sent

    def pack(self, host: str, port: int) -> Address:
        """The key of an address. ValueError if ``host`` is not of the socket's family."""
        address = ipaddress.ip_address(host)
        if (address.version == 6) != (self._socket.family == socket.AF_INET6):
            raise ValueError(f"{host} is not of this socket's address family")
        if isinstance(address, ipaddress.IPv4Address):
            return str(address), port
        scope = address.scope_id or "0"
        plain = str(address).partition("%")[0]
        return plain, port, 0, int(scope) if scope.isdigit() else socket.if_nametoindex(scope)

    def unpack(self, address: Address) -> tuple[str, int]:
        """Host and port of a key."""
        return str(address[0]).partition("%")[0], int(address[1])
