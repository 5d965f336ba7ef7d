"""Where a scripted phone is connected to its server: one UDP socket, or one TCP or TLS connection."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

from tests.phones.program import LOOPBACK
from tests.phones.sip_message import Frames


class Wire(Protocol):
    local: tuple[str, int]
    closed: asyncio.Event
    fault: str

    def send(self, data: bytes) -> None: ...
    async def close(self) -> None: ...


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes], None], server: tuple[str, int]) -> None:
        self._received = received
        self._server = server
        self.closed = asyncio.Event()
        self.local = ("", 0)
        self.fault = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.local = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if data.strip(b"\r\n\0"):
            self._received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set()

    def send(self, data: bytes) -> None:
        self._transport.sendto(data, self._server)

    async def close(self) -> None:
        self._transport.close()
        await self.closed.wait()


class _Stream:
    def __init__(
        self,
        received: Callable[[bytes], None],
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._received = received
        self._reader, self._writer = streams
        self.local = self._writer.get_extra_info("sockname")[:2]
        self.closed = asyncio.Event()
        self.fault = ""
        self.frames = Frames()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(65536):
                for raw in self.frames.feed(data):
                    self._received(raw)
        except OSError:
            pass
        except ValueError as error:
            self.fault = str(error)
        finally:
            self.closed.set()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def close(self) -> None:
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), 2)
        except (OSError, TimeoutError):
            self._writer.transport.abort()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def connect(
    transport: str,
    server: tuple[str, int],
    received: Callable[[bytes], None],
    ca: Path | None,
    local: str = LOOPBACK,
) -> Wire:
    """Opens a wire; raises OSError (ssl.SSLError included) when the server does not take it."""
    if transport == "udp":
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(
            lambda: _Datagrams(received, server), local_addr=(local, 0)
        )
        return protocol
    context = None
    if transport == "tls":
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    streams = await asyncio.open_connection(*server, ssl=context, local_addr=(local, 0))
    return _Stream(received, streams)
