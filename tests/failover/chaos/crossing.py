"""A TCP port in front of a store, for one node alone. Cut, its connections stay open and silent."""

from __future__ import annotations

import asyncio
from typing import cast


class Crossing:
    """Passes everything on between `port` (known when it is open) and `target` until `cut()`.

    `rewrite` replaces words of the same length in what the store answers: a sentinel names the master's port,
    and the node is to go there by its own crossing too.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.target = target
        self.rewrite: dict[bytes, bytes] = {}
        self.severed = False
        self._ends: set[_End] = set()
        self._server: asyncio.Server | None = None
        self._connecting: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connecting:
            task.cancel()
        for end in list(self._ends):
            end.abort()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def cut(self) -> None:
        """As when a cable is drawn."""
        self.severed = True
        for end in self._ends:
            end.hold()

    def mend(self) -> None:
        """What was open is reset, new connections pass."""
        self.severed = False
        for end in list(self._ends):
            end.abort()

    def accepted(self, near: _End) -> None:
        """A node connected: its other end is opened."""
        task = asyncio.get_running_loop().create_task(self._reach(near))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _reach(self, near: _End) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, far = await loop.create_connection(lambda: _End(self, near), "127.0.0.1", self.target)
        except OSError:
            near.abort()
            return
        near.other = far
        if self.severed:
            near.hold()
            far.hold()
        elif near.gone:
            far.abort()
        else:
            near.transport.resume_reading()


class _End(asyncio.Protocol):
    """One side of a connection through a crossing."""

    transport: asyncio.Transport

    def __init__(self, crossing: Crossing, near: _End | None = None) -> None:
        self.other = near
        self.gone = False
        self._crossing = crossing
        self._far = near is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._crossing._ends.add(self)
        if not self._far:
            self.transport.pause_reading()
            if not self._crossing.severed:
                self._crossing.accepted(self)

    def data_received(self, data: bytes) -> None:
        if self._crossing.severed or self.other is None:
            return
        if self._far:
            for word, other in self._crossing.rewrite.items():
                data = data.replace(word, other)
        self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        self._crossing._ends.discard(self)
        if self.other is not None and not self._crossing.severed:
            self.other.transport.close()

    def hold(self) -> None:
        if self.transport.is_reading():
            self.transport.pause_reading()

    def abort(self) -> None:
        self.transport.abort()
