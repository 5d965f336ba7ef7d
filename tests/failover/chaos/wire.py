"""SIP over UDP and TCP for many light phones in one process: bytes in, whole messages out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from tests.phones.sip_message import Frames, Sip

_CONNECTING = 2.0


class Wire(asyncio.Protocol, asyncio.DatagramProtocol):
    """One connection or one UDP socket. `received(message)`, and `lost()` once when the peer closed it."""

    def __init__(
        self,
        transport: str,
        server: tuple[str, int],
        received: Callable[[Sip], None],
        lost: Callable[[], None],
    ) -> None:
        self.name = transport
        self.open = False
        self.local = ("", 0)
        self._server = server
        self.source = server  # of the message that is being told
        self._received = received
        self._lost = lost
        self._frames = Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.open = True
        self.local = transport.get_extra_info("sockname")[:2]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for raw in self._frames.feed(data):
            self._take(raw)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if data.strip(b"\r\n\0"):
            self.source = address
            self._take(data)

    def _take(self, raw: bytes) -> None:
        if self.open:
            self._received(Sip.parse(raw))

    def error_received(self, error: OSError) -> None:
        """A node that is down sends ICMP; a phone sees that it gets no answer."""

    def connection_lost(self, error: Exception | None) -> None:
        if self.open:
            self.open = False
            self._lost()

    def send(self, data: bytes, to: tuple[str, int] | None = None) -> None:
        """Over UDP a response goes `to` where its request came from (RFC 3581)."""
        if not self.open:
            return
        if self.name == "udp":
            cast(asyncio.DatagramTransport, self._transport).sendto(data, to or self._server)
        else:
            cast(asyncio.Transport, self._transport).write(data)

    def close(self, abrupt: bool = True) -> None:
        """Ends it without telling `lost`; what comes now is not heard any more."""
        if self.open:
            self.open = False
            transport = cast(asyncio.Transport, self._transport)
            transport.abort() if abrupt else transport.close()


async def connect(
    transport: str,
    server: tuple[str, int],
    local: str,
    received: Callable[[Sip], None],
    lost: Callable[[], None] = lambda: None,
) -> Wire:
    """Raises OSError (TimeoutError included) where the node does not take it."""
    loop = asyncio.get_running_loop()
    wire = Wire(transport, server, received, lost)
    if transport == "udp":
        await loop.create_datagram_endpoint(lambda: wire, local_addr=(local, 0))
    else:
        async with asyncio.timeout(_CONNECTING):
            await loop.create_connection(lambda: wire, *server, local_addr=(local, 0))
    return wire


def compose(start: str, fields: list[tuple[str, str]], body: bytes = b"") -> bytes:
    """The bytes of a message; Content-Length is added."""
    rows = [start, *(f"{name}: {value}" for name, value in fields), f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(rows).encode() + body


def response(request: Sip, status: int, tag: str) -> bytes:
    """An answer to a request; `tag` is that of To."""
    reason = {200: "OK", 503: "Service Unavailable"}.get(status, "Because")
    rows = [("Via", value) for value in request.all("Via")]
    rows += [("From", request.first("From")), ("To", f"{request.first('To')};tag={tag}")]
    rows += [("Call-ID", request.call_id), ("CSeq", request.first("CSeq"))]
    return compose(f"SIP/2.0 {status} {reason}", rows)
