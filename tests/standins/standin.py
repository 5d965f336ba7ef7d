"""What all stand-ins have in common: the listening socket, the faults, the records."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.standins.authority import Authority
from tests.standins.exchange import Record, Refused, Reply, Request
from tests.standins.fast import FastLink
from tests.standins.faults import Fault, Faults
from tests.standins.greeting import Greeting
from tests.standins.link import Link

Options = dict[str, dict[str, Any]]
BACKLOG = 512


class StandIn:
    """Listens on 127.0.0.1 within `async with`. `received` are the pushes that were accepted, `refused` those
    that were read and not; `told` is called with each of them as (accepted, record). With `fast` set before
    it is entered, it takes everything unread and notes (token, s since 1970) of each push in `came`."""

    kind = ""
    http1 = True
    asks_for_certificate = False
    fast_answer = b""  # body of each answer when it is fast

    def __init__(self, folder: Path, port: int = 0, http2: bool = True) -> None:
        self.folder = Path(folder)
        self.authority = Authority(self.folder)
        self.port = port
        self.received: list[Record] = []
        self.refused: list[Record] = []
        self.faults = Faults()
        self.opened = 0  # connections so far
        self.links: set[Link | FastLink] = set()
        self.fast = False
        self.came: list[tuple[str, float]] = []
        self.told: Callable[[bool, Record], None] = lambda accepted, record: None
        self._http2 = http2
        self._news = asyncio.Event()
        self._left = asyncio.Event()
        self._greeting: set[asyncio.Task[None]] = set()
        self._listening = False
        self._socket: socket.socket
        self._context: ssl.SSLContext

    # what each service says of itself

    def push(self, request: Request) -> tuple[Record, Reply]:
        """Judges a push. Raises Refused."""
        raise NotImplementedError

    def grant(self, request: Request) -> Reply:
        """Judges a request for an access token."""
        raise NotImplementedError

    def is_grant(self, request: Request) -> bool:
        return False

    def token_of(self, request: Request) -> str:
        """Of the phone, from a request that may be wrong in every respect."""
        return request.path.partition("?")[0].rpartition("/")[2]

    def failure(self, request: Request, status: int, reason: str, where: str) -> tuple[Reply, str]:
        """The vendor's body for a status, and its word for it; `reason` if it is given."""
        return Reply(status, body=reason.encode()), reason or str(status)

    def options(self) -> Options:
        """The sections of a configuration that lead here."""
        raise NotImplementedError

    def more(self) -> dict[str, Any]:
        """What else a client needs, for one in another process."""
        return {}

    # in a test's loop

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def ca(self) -> str:
        return str(self.authority.ca)

    def fault(self, name: str, **values: Any) -> None:
        """See tests/standins/faults.py."""
        self.faults.set(name, **values)
        self._mind_the_hole()

    def clear(self, name: str = "") -> None:
        """Ends a fault, or all."""
        self.faults.clear(name)
        self._mind_the_hole()

    async def wait_for(self, n: int = 1, timeout: float = 10.0) -> list[Record]:
        """All accepted pushes, once there are `n` of them. Raises AssertionError."""
        deadline = time.monotonic() + timeout
        while len(self.received) < n:
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise AssertionError(
                    f"{self.kind}: {len(self.received)} of {n} pushes within {timeout:g} s; "
                    f"refused: {[(each.status, each.reason) for each in self.refused[-10:]]}"
                ) from None
        return list(self.received)

    async def __aenter__(self) -> Self:
        http1 = self.http1 and not self.fast
        self._context = self.authority.server_context(http1, self._http2, self.asks_for_certificate)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))
        self._socket.listen(BACKLOG)
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._mind_the_hole()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening:
            asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        for task in self._greeting:
            task.cancel()
        await asyncio.gather(*self._greeting, return_exceptions=True)
        for link in list(self.links):
            link.transport.abort()
        deadline = time.monotonic() + 2
        while self.links and time.monotonic() < deadline:
            self._left.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), 0.2)

    # connections

    def _mind_the_hole(self) -> None:
        """In a black hole the kernel takes connections and nobody greets them."""
        loop = asyncio.get_running_loop()
        hole = self.faults.black_hole
        if hole and self._listening:
            loop.remove_reader(self._socket)
        elif not hole and not self._listening:
            loop.add_reader(self._socket, self._accept)
        self._listening = not hole
        for link in self.links:
            if hole and link.transport.is_reading():
                link.transport.pause_reading()
            elif not hole and not link.transport.is_reading() and not link.transport.is_closing():
                link.transport.resume_reading()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, ConnectionError):
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.get_running_loop().create_task(self._greet(connection))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _greet(self, connection: socket.socket) -> None:
        greeting: Any = self._context if self.fast else Greeting(self._context, connection)
        make = FastLink if self.fast else Link
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: make(self), connection, ssl=greeting, ssl_handshake_timeout=10
            )
        except (OSError, asyncio.CancelledError):
            connection.close()  # no TLS, or a certificate that is none of ours

    def connected(self, link: Link | FastLink) -> int:
        self.links.add(link)
        self.opened += 1
        return self.opened

    def disconnected(self, link: Link | FastLink) -> None:
        self.links.discard(link)
        self._left.set()

    # requests

    def arrived(self, link: Link, stream: int, request: Request) -> None:
        """A whole request."""
        where = "token" if self.is_grant(request) else "push"
        fault = self.faults.take(where, self.token_of(request) if where == "push" else "")
        if fault is None:
            link.answer(stream, self._judged(request, where))
        elif fault.name == "status":
            link.answer(stream, self._failed(request, where, fault))
        elif fault.name == "slow":
            reply, seconds = self._judged(request, where), float(fault.get("seconds", 1.0))
            asyncio.get_running_loop().call_later(seconds, link.answer, stream, reply)
        else:
            self._break(link, stream, request, where, fault)

    def _break(self, link: Link, stream: int, request: Request, where: str, fault: Fault) -> None:
        read = bool(fault.get("read", False))
        reply = self._judged(request, where) if read else None
        if fault.name == "reset":
            link.transport.abort()
        elif fault.name == "refused":
            link.reset_stream(stream, int(fault.get("code", 7)))
        elif fault.name == "goaway" and reply is not None:
            link.go_away(stream, shut=False)
            link.answer(stream, reply)
            link.transport.close()
        elif fault.name == "goaway":
            if link.h2 is None:
                link.transport.close()
            link.go_away(max(0, stream - 2), shut=True)

    def _judged(self, request: Request, where: str) -> Reply:
        if where == "token":
            return self.grant(request)
        try:
            record, reply = self.push(request)
        except Refused as refused:
            reply = refused.reply
            token = refused.token or self.token_of(request)
            self._note(request, token, refused.payload, reply.status, refused.reason)
            return reply
        record.headers, record.connection = request.headers, request.connection
        record.path, record.method = request.path, request.method
        self.received.append(record)
        self._news.set()
        self.told(True, record)
        return reply

    def _failed(self, request: Request, where: str, fault: Fault) -> Reply:
        status = int(fault.get("status", 503))
        reply, reason = self.failure(request, status, str(fault.get("reason", "")), where)
        if fault.get("retry_after", "") != "":
            reply.headers += (("retry-after", str(fault.get("retry_after"))),)
        if where == "push":
            self._note(request, self.token_of(request), None, status, reason)
        return reply

    def _note(self, request: Request, token: str, payload: object, status: int, reason: str) -> None:
        record = Record(token, request.headers, payload, status, reason, path=request.path)
        record.connection, record.method = request.connection, request.method
        self.refused.append(record)
        self.told(False, record)
