"""The STUN server of a node: Binding on UDP, TCP and TLS, IPv4 and IPv6."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable
from typing import NamedTuple

from relay.address import Address
from relay.stun.answer import Local
from relay.stun.datagrams import StunSocket
from relay.stun.limit import SourceLimit
from relay.stun.streams import Connections, StunConnection


class Listen(NamedTuple):
    """Where to listen. Port 0 takes any."""

    udp: tuple[Address, ...] = ()
    tcp: tuple[Address, ...] = ()
    tls: tuple[Address, ...] = ()
    discovery: tuple[tuple[str, str, int, int], ...] = ()  # host, other host, port, other port (RFC 5780)


class StunServer:
    """Opened by `start`; `close` ends it."""

    def __init__(
        self,
        listen: Listen,
        context: ssl.SSLContext | None = None,
        *,
        software: str = "Clarion",
        rate: float = 500.0,
        burst: float = 1000.0,
        connections: int = 1_000,
    ) -> None:
        """`context`: for TLS. `rate`, `burst`: requests of one source per second and at once; rate 0 for any
        number. `connections`: most at a time."""
        if listen.tls and context is None:
            raise ValueError("TLS needs a certificate")
        self._listen, self._context = listen, context
        self._software = software.encode()[:128]
        limit = SourceLimit(rate, burst)
        self._limit = limit
        self._sockets: dict[Address, StunSocket] = {}
        self._connections = Connections(limit, self._software, connections)
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Listen. OSError if an address cannot be had; nothing is left open then."""
        try:
            for where in self._listen.udp:
                self._open(where)
            for hosts in self._listen.discovery:
                self._discover(*hosts)
            loop = asyncio.get_running_loop()
            for opened in self._sockets.values():
                loop.add_reader(opened.socket.fileno(), opened.readable)
            await self._accept(self._listen.tcp, None)
            await self._accept(self._listen.tls, self._context)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop listening and end all connections."""
        loop = asyncio.get_running_loop()
        for opened in self._sockets.values():
            opened.close(loop)
        self._sockets.clear()
        for server in self._servers:
            server.close()
        for connection in list(self._connections.open):
            connection.abort()
        for server in self._servers:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await server.wait_closed()
        self._servers.clear()

    @property
    def udp(self) -> list[Address]:
        """Where UDP is listened to."""
        return list(self._sockets)

    @property
    def streams(self) -> list[Address]:
        """Where TCP and TLS are listened to, in the order of the settings."""
        return [Address(*one.getsockname()[:2]) for server in self._servers for one in server.sockets]

    @property
    def answered(self) -> int:
        """Requests that were answered."""
        return self._connections.answered + sum(one.answered for one in self._sockets.values())

    @property
    def limited(self) -> int:
        """Datagrams that were not read because their source asked too much."""
        return sum(one.limited for one in self._sockets.values())

    @property
    def dropped(self) -> int:
        """Datagrams that got no answer for any other reason."""
        return sum(one.dropped for one in self._sockets.values())

    def _open(self, where: Address) -> StunSocket:
        opened = StunSocket(where.host, where.port, self._limit, self._software, self._sockets)
        self._sockets[opened.address] = opened
        return opened

    def _discover(self, host: str, other: str, port: int, other_port: int) -> None:
        """The four sockets of behaviour discovery, each knowing the others."""
        sockets = [[self._open(Address(h, p)) for p in (port, other_port)] for h in (host, other)]
        for h in (0, 1):
            for p in (0, 1):
                around = (sockets[h][p], sockets[h][1 - p], sockets[1 - h][p], sockets[1 - h][1 - p])
                sockets[h][p].local = Local(*(one.address for one in around))

    async def _accept(self, addresses: Iterable[Address], context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        for where in addresses:
            server = await loop.create_server(
                lambda: StunConnection(self._connections), where.host, where.port, ssl=context
            )
            self._servers.append(server)
