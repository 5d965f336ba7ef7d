"""One connection to Redis: RESP3, many commands in flight, replies in order.

There is no future and no timer per command. `submit` writes a command and remembers whom to tell; what
arrives is told at once, in the order of the stream, pushes among replies. A tick four times per second
looks at the oldest command only: as replies come in order, if that one is overdue the server is frozen
and the connection is given up.

What is submitted in one iteration of the loop leaves in one system call: a write for each command would
cost as much as all that else is done about it, here and at Redis.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import hiredis

from cluster.errors import StoreUnavailable

Word = bytes | str | int
Command = tuple[Word, ...] | bytes
"""The words of a command, or what they look like on the wire."""
Done = Callable[[Any], None]
"""Takes the reply, hiredis.ReplyError where Redis refused, or StoreUnavailable. Must not raise."""

TICK = 0.25
_NOT_YET: Any = object()
_pack: Callable[[tuple[Word, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]


class Link(asyncio.Protocol):
    """One TCP connection from connect to loss; never reused."""

    __slots__ = (
        "_closed",
        "_limit",
        "_loop",
        "_lost",
        "_output",
        "_patience",
        "_pending",
        "_pushed",
        "_reader",
        "_tick",
        "_timer",
        "_transport",
    )

    def __init__(
        self,
        timeout: float,
        limit: int,
        pushed: Callable[[list[Any]], None],
        lost: Callable[[Link, str], None],
    ) -> None:
        """`timeout` s until an unanswered command ends the connection; at most `limit` commands in flight.
        `lost(link, reason)` is called once, before the commands in flight are told."""
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_NOT_YET)
        self._pending: deque[tuple[Done, int]] = deque()
        self._output: list[bytes] = []
        self._pushed = pushed
        self._lost = lost
        self._limit = limit
        self._patience = max(1, round(timeout / TICK))
        self._tick = 0
        self._closed = False
        self._transport: asyncio.WriteTransport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._timer = self._loop.call_later(TICK, self._look)

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def submit(self, command: Command, done: Done) -> None:
        """Send one command; `done` is called once, and at once where it cannot be sent."""
        if self._closed or self._transport is None:
            done(StoreUnavailable("the connection to Redis is closed"))
        elif len(self._pending) >= self._limit:
            done(StoreUnavailable(f"{self._limit} commands wait for Redis already"))
        else:
            self._pending.append((done, self._tick))
            self._write(command if type(command) is bytes else _pack(command))  # type: ignore[arg-type]

    def push(self, words: tuple[Word, ...]) -> None:
        """Send a command that is answered by pushes only (SUBSCRIBE, UNSUBSCRIBE)."""
        if not self._closed and self._transport is not None:
            self._write(_pack(words))

    def _write(self, command: bytes) -> None:
        if not self._output:
            self._loop.call_soon(self._flush)
        self._output.append(command)

    def _flush(self) -> None:
        output, self._output = self._output, []
        if not self._closed:
            self._transport.write(output[0] if len(output) == 1 else b"".join(output))  # type: ignore[union-attr]

    def data_received(self, data: bytes) -> None:
        gets = self._reader.gets
        pending = self._pending
        try:
            self._reader.feed(data)
            while (reply := gets()) is not _NOT_YET:
                if type(reply) is hiredis.PushNotification:
                    self._pushed(reply)
                elif pending:
                    pending.popleft()[0](reply)
                else:
                    self.give_up("Redis sent a reply that nobody asked for")
                if self._closed:
                    return
        except hiredis.ProtocolError as error:
            self.give_up(f"Redis does not speak RESP: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self.give_up(f"the connection to Redis broke: {error}" if error else "Redis closed the connection")

    def give_up(self, reason: str) -> None:
        """Close, tell the owner, then everybody who waits. Does nothing the second time."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._lost(self, reason)
        error = StoreUnavailable(reason)
        while self._pending:
            self._pending.popleft()[0](error)

    def _look(self) -> None:
        self._tick += 1
        self._timer = self._loop.call_later(TICK, self._look)
        if self._pending and self._tick - self._pending[0][1] > self._patience:
            self.give_up(f"Redis did not answer for {self._patience * TICK:g} s")
