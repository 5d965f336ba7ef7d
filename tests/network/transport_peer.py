"""A node's transports with a receiver that the test holds, and sockets that play phones."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

from node.settings import LimitsSettings, NodeRoomSettings, NodeSettings, TransportSettings
from node.sip.errors import ParseError
from node.transport.flow import Flow
from node.transport.tls_context import TlsContexts
from node.transport.transports import Transports

OPTIONS = (
    b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK%d\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def options(number: int = 1) -> bytes:
    return OPTIONS % (number, number)


class Recorder:
    """Keeps what it receives; `reply` may answer."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, Flow]] = []
        self.errors: list[tuple[ParseError, Flow]] = []
        self.closed: list[tuple[Flow, str]] = []
        self.reply: Callable[[bytes, Flow], None] = lambda raw, flow: None
        self._changed = asyncio.Event()

    def received(self, raw: bytes, flow: Flow) -> None:
        self.messages.append((raw, flow))
        self._changed.set()
        self.reply(raw, flow)

    def broken(self, error: ParseError, flow: Flow) -> None:
        self.errors.append((error, flow))
        self._changed.set()
        flow.send(b"SIP/2.0 %d %s\r\nContent-Length: 0\r\n\r\n" % (error.status, error.reason.encode()))

    def gone(self, flow: Flow, reason: str) -> None:
        self.closed.append((flow, reason))
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits until something recorded makes the condition true, five seconds at most."""
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def message(self, number: int = 1) -> tuple[bytes, Flow]:
        await self.until(lambda: len(self.messages) >= number)
        return self.messages[number - 1]

    async def close_of(self, flow: Flow) -> str:
        flow.watch(self.gone)
        await self.until(lambda: any(one is flow for one, _ in self.closed))
        return next(reason for one, reason in self.closed if one is flow)


@contextlib.asynccontextmanager
async def running(
    *listen: str,
    internal: str = "",
    tls: TlsContexts | None = None,
    limits: dict | None = None,
    **transport: float,
) -> AsyncIterator[tuple[Transports, Recorder]]:
    """Transports on free loopback ports."""
    recorder = Recorder()
    settings = NodeRoomSettings(
        node=NodeSettings(listen=listen, internal=internal),
        transport=TransportSettings(**transport),
        limits=LimitsSettings(**(limits or {})),
    )
    transports = Transports(asyncio.get_running_loop(), settings, recorder, tls)
    await transports.start()
    try:
        yield transports, recorder
    finally:
        await transports.close()


def udp_phone(host: str = "127.0.0.1") -> socket.socket:
    phone = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    phone.setblocking(False)
    phone.bind((host, 0))
    return phone


async def read(sock: socket.socket, size: int = 65536) -> bytes:
    """What comes next on a socket, five seconds at most."""
    async with asyncio.timeout(5):
        return await asyncio.get_running_loop().sock_recv(sock, size)
