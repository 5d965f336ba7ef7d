"""A small HTTPS server on loopback, HTTP/2 or HTTP/1.1, whose answers a test scripts, faults included.

`python -m tests.network.h2_server FOLDER` serves until stdin ends; it writes ca.pem to FOLDER, and its URL to
stdout.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hyperframe.frame
import trustme

STREAMS = 1000


@dataclass
class Seen:
    """One request as it arrived; `connection` counts from 1."""

    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    subject: str = ""  # of the client certificate
    version: str = "h2"


@dataclass
class Reply:
    """What to do with a request. `fault`: "" | silent | refused | reset | drop | goaway (this one unread, and
    the connection ends) | retire (this is the last one that is read; what has been read is answered)."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay: float = 0.0
    fault: str = ""
    endless: bool = False


Script = Callable[[Seen], Reply]


def ok(_: Seen) -> Reply:
    return Reply()


@dataclass
class H2Server:
    """Start it, read `url`; `seen` are the requests, `opened` counts connections, `open` those that live."""

    folder: Path
    script: Script = ok
    http2: bool = True
    client_ca: str = ""
    streams: int = STREAMS
    streams_later: int = (
        0  # allowed after the first answer, if not 0; before it more than `streams` are refused
    )
    seen: list[Seen] = field(default_factory=list)
    record: bool = True
    opened: int = 0
    port: int = 0
    open: set[asyncio.Transport] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    async def start(self) -> H2Server:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        context.set_alpn_protocols(["h2", "http/1.1"] if self.http2 else ["http/1.1"])
        if self.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.client_ca)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Link(self), "127.0.0.1", self.port, ssl=context, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for transport in list(self.open):
            transport.abort()
        for _ in range(200):
            if not self.open:
                break
            await asyncio.sleep(0.01)

    async def __aenter__(self) -> H2Server:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Link(asyncio.Protocol):
    def __init__(self, server: H2Server) -> None:
        self.server = server
        self.h2: h2.connection.H2Connection | None = None
        self.requests: dict[int, Seen] = {}
        self.buffer = b""
        self.subject = ""
        self.over = self.answered = False
        self.taken = 0
        self.last = 1 << 31  # streams above this one are not read
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.server.open.add(self.transport)
        self.server.opened += 1
        self.number = self.server.opened
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert() or {}
        self.subject = str(
            dict(pair[0] for pair in certificate.get("subject", ())).get("organizationalUnitName", "")
        )
        if tls.selected_alpn_protocol() == "h2":
            config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
            self.h2 = h2.connection.H2Connection(config)
            self.h2.local_settings.max_concurrent_streams = self.server.streams
            self.h2.initiate_connection()
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        self.server.open.discard(self.transport)

    def flush(self) -> None:
        if self.h2 is not None and not self.over:
            self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        if self.h2 is None:
            self.http1(data)
            return
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.flush()
            self.transport.close()
            return
        for event in events:
            self.event(event)
        self.flush()

    def event(self, event: h2.events.Event) -> None:
        assert self.h2 is not None
        if isinstance(event, h2.events.RequestReceived):
            headers = {str(name): str(value) for name, value in event.headers}
            self.requests[event.stream_id] = Seen(
                self.number, headers[":method"], headers[":path"], headers, subject=self.subject
            )
        elif isinstance(event, h2.events.DataReceived) and event.stream_id in self.requests:
            self.requests[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id > self.last:
            self.requests.pop(event.stream_id, None)
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self.requests:
            self.request(event.stream_id, self.requests.pop(event.stream_id))

    def request(self, stream: int, seen: Seen) -> None:
        if self.server.record:
            self.server.seen.append(seen)
        reply = self.server.script(seen)
        self.taken += 1
        if self.server.streams_later and not self.answered and self.taken > self.server.streams:
            reply = Reply(fault="refused")
        if reply.delay:
            asyncio.get_running_loop().call_later(reply.delay, self.later, stream, reply)
        else:
            self.carry_out(stream, reply)

    def later(self, stream: int, reply: Reply) -> None:
        if not self.over:
            self.carry_out(stream, reply)
            self.flush()

    def carry_out(self, stream: int, reply: Reply) -> None:
        assert self.h2 is not None
        try:
            if reply.fault == "refused":
                self.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            elif reply.fault == "reset":
                self.h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            elif reply.fault == "drop":
                self.transport.abort()
            elif reply.fault == "goaway":
                self.h2.close_connection(0, last_stream_id=max(0, stream - 2))
                self.flush()
                self.transport.close()
            elif reply.fault == "retire":
                self.retire(stream)
            elif not reply.fault:
                self.answer(stream, reply)
        except h2.exceptions.ProtocolError:
            pass  # the client has reset the stream

    def retire(self, stream: int) -> None:
        """GOAWAY with what was read last, on the wire only: h2 would end the connection."""
        assert self.h2 is not None
        self.last = stream
        self.flush()
        frame = hyperframe.frame.GoAwayFrame(0, last_stream_id=stream)
        self.transport.write(frame.serialize())
        self.answer(stream, Reply())

    def answer(self, stream: int, reply: Reply) -> None:
        assert self.h2 is not None
        if self.server.streams_later and not self.answered:
            self.answered = True
            setting = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
            self.h2.update_settings({setting: self.server.streams_later})
        headers = [(":status", str(reply.status)), *reply.headers]
        self.h2.send_headers(stream, headers, end_stream=not reply.body)
        if reply.body:
            size = min(len(reply.body), self.h2.local_flow_control_window(stream))
            for at in range(0, size, 16_384):
                last = at + 16_384 >= size
                self.h2.send_data(
                    stream, reply.body[at : min(size, at + 16_384)], end_stream=last and not reply.endless
                )

    def http1(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            size = int(headers.get("content-length", 0))
            if len(rest) < size:
                return
            self.buffer = rest[size:]
            method, path, _ = first.split(" ")
            seen = Seen(self.number, method, path, headers, rest[:size], self.subject, "http/1.1")
            self.server.seen.append(seen)
            self.http1_answer(self.server.script(seen))

    def http1_answer(self, reply: Reply) -> None:
        if reply.fault == "drop":
            self.transport.abort()
        elif not reply.fault:
            lines = [f"HTTP/1.1 {reply.status} X", f"Content-Length: {len(reply.body)}"]
            lines += [f"{name}: {value}" for name, value in reply.headers]
            self.transport.write("\r\n".join([*lines, "", ""]).encode() + reply.body)


async def _serve(folder: Path) -> None:
    async with H2Server(folder, record=False) as server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(Path(sys.argv[1])))
