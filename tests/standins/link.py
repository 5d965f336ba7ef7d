"""One connection of a stand-in: HTTP/2 on h2, or HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hyperframe.frame

from tests.standins.exchange import Reply, Request

if TYPE_CHECKING:
    from tests.standins.standin import StandIn

STREAMS = 1000  # as Apple allows
LARGEST = 1 << 20  # octets of a body, or of the head of an HTTP/1.1 request
ANNOUNCED = {
    h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS,
    h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 65_536,
    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 65_535,
}


class Link(asyncio.Protocol):
    """Hands whole requests to the stand-in, which calls back what is to be done with each."""

    def __init__(self, standin: StandIn) -> None:
        self.standin = standin
        self.h2: h2.connection.H2Connection | None = None
        self.requests: dict[int, Request] = {}
        self.unsent: deque[tuple[int, bytes]] = deque()  # bodies for which the client gives no window
        self.buffer = b""
        self.over = False
        self.last = 1 << 31  # streams above this one are not read
        self.certificate = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.number = self.standin.connected(self)
        tls = transport.get_extra_info("ssl_object")
        self.certificate = tls.getpeercert(binary_form=True) or b""
        # Apple's servers take who says nothing in ALPN for HTTP/2
        if tls.selected_alpn_protocol() == "h2" or not self.standin.http1:
            self.h2 = h2.connection.H2Connection(
                h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
            )
            # not by assignment: h2 would announce the value from before
            self.h2.local_settings = h2.settings.Settings(client=False, initial_values=ANNOUNCED)
            self.h2.initiate_connection()
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        self.standin.disconnected(self)

    def flush(self) -> None:
        if self.h2 is not None and not self.over:
            self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        if self.h2 is None:
            self.buffer += data
            try:
                self._http1()
            except ValueError:
                self._http1_answer(Reply(400, (("Connection", "close"),)))
                self.transport.close()
            return
        try:
            for event in self.h2.receive_data(data):
                self._event(event)
        except h2.exceptions.ProtocolError:
            self.flush()
            self.transport.close()
            return
        self.flush()

    def _event(self, event: h2.events.Event) -> None:
        assert self.h2 is not None
        if isinstance(event, h2.events.RequestReceived):
            fields = [(str(name), str(value)) for name, value in event.headers]
            told = dict(fields)
            request = Request(
                self.number, told[":method"], told[":path"], fields, certificate=self.certificate
            )
            self.requests[event.stream_id] = request
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if event.stream_id in self.requests:
                self.requests[event.stream_id].body += event.data
                if len(self.requests[event.stream_id].body) > LARGEST:
                    del self.requests[event.stream_id]
                    self.answer(event.stream_id, Reply(413))
        elif isinstance(event, h2.events.StreamEnded):
            found = self.requests.pop(event.stream_id, None)
            if found is not None and event.stream_id <= self.last:
                self.standin.arrived(self, event.stream_id, found)
        elif isinstance(event, h2.events.StreamReset):
            self.requests.pop(event.stream_id, None)
        elif isinstance(event, h2.events.WindowUpdated):
            self._send_unsent()

    def answer(self, stream: int, reply: Reply) -> None:
        """Sends it, unless the client has gone or taken its request back."""
        if self.over:
            return
        if self.h2 is None:
            self._http1_answer(reply)
            return
        headers = [(":status", str(reply.status)), *((n.lower(), v) for n, v in reply.headers)]
        try:
            self.h2.send_headers(stream, headers, end_stream=not reply.body)
        except h2.exceptions.ProtocolError:
            return
        if reply.body:
            self.unsent.append((stream, reply.body))
            self._send_unsent()
        self.flush()

    def _send_unsent(self) -> None:
        assert self.h2 is not None
        for _ in range(len(self.unsent)):
            stream, body = self.unsent.popleft()
            try:
                if self.h2.local_flow_control_window(stream) < len(body):
                    self.unsent.append((stream, body))
                else:
                    self.h2.send_data(stream, body, end_stream=True)
            except h2.exceptions.ProtocolError:
                continue  # the client has reset the stream

    def reset_stream(self, stream: int, code: int) -> None:
        if self.h2 is None:
            self.transport.abort()
            return
        try:
            self.h2.reset_stream(stream, code)
        except h2.exceptions.ProtocolError:
            return
        self.flush()

    def go_away(self, last: int, shut: bool) -> None:
        """GOAWAY on the wire only: h2 itself would end the connection, and answers may be due yet."""
        if self.h2 is None or self.over:
            return
        self.last = last
        self.flush()
        self.transport.write(hyperframe.frame.GoAwayFrame(0, last_stream_id=last).serialize())
        if shut:
            self.transport.close()

    def _http1(self) -> None:
        """All requests that are whole. Raises ValueError for what cannot be one."""
        if b"\r\n\r\n" not in self.buffer and len(self.buffer) > LARGEST:
            raise ValueError("no end of the head")
        while b"\r\n\r\n" in self.buffer and not self.over:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in lines)
            fields = [(name.lower(), value.strip()) for name, _, value in pairs]
            size = int(dict(fields).get("content-length", 0))
            if not 0 <= size <= LARGEST:
                raise ValueError("too large")
            if len(rest) < size:
                return
            self.buffer = rest[size:]
            method, path, *_ = [*first.split(" "), "", ""]
            request = Request(
                self.number, method, path, fields, rest[:size], self.certificate, version="http/1.1"
            )
            self.standin.arrived(self, 0, request)

    def _http1_answer(self, reply: Reply) -> None:
        lines = [f"HTTP/1.1 {reply.status} X"]
        if reply.status not in (204, 304):
            lines.append(f"Content-Length: {len(reply.body)}")
        lines += [f"{name}: {value}" for name, value in reply.headers]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body)
