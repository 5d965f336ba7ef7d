"""Waiting until replicas hold what was written (`[redis] replicas`).

WAIT blocks its connection, so it never goes over the one that reads: a slow replica must not delay a call.
It goes over a connection of its own, behind a tiny write: WAIT concerns all of the stream of replication up
to the last write of the connection that asks, and that write comes after those that we want to be sure of
(their replies have been read). One WAIT is under way at a time; all who come meanwhile share the next.
"""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Connection
from cluster.redis.link import TICK

WAIT_MS = 500
_KEEP_MS = 10_000


class ReplicaFence:
    """Beside one connection to a master."""

    def __init__(self, main: Connection, options: ConnectionOptions, replicas: int) -> None:
        self._main = main
        self._replicas = replicas
        self._connection = Connection(self._locate, options)
        self._coming: list[asyncio.Future[None]] = []
        self._busy = False
        self._wait_ms = max(50, min(WAIT_MS, int((options.timeout - TICK) * 1000)))

    def start(self) -> None:
        self._connection.start()

    async def close(self) -> None:
        await self._connection.close()

    async def passed(self, fence_key: bytes) -> None:
        """Return when the replicas have what was written on the main connection before this call.

        `fence_key` is a throw-away key in a slot of that master. Raises StoreUnavailable if too few answered.
        """
        if not self._connection.up:
            await self._connection.ready(self._wait_ms / 1000)
        if self._connection.address != self._main.address:
            self._connection.reconnect("the master moved")
            raise StoreUnavailable("the master moved before its replicas confirmed the write")
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._coming.append(answer)
        if not self._busy:
            self._ask(fence_key)
        await answer

    async def _locate(self) -> tuple[str, int]:
        if not self._main.up:
            raise StoreUnavailable("the master is not connected")
        return self._main.address

    def _ask(self, fence_key: bytes) -> None:
        batch, self._coming, self._busy = self._coming, [], True
        self._connection.submit(("SET", fence_key, b"", "PX", _KEEP_MS), _ignore)
        told = functools.partial(self._told, batch, fence_key)
        self._connection.submit(("WAIT", self._replicas, self._wait_ms), told)

    def _told(self, batch: list[asyncio.Future[None]], fence_key: bytes, reply: Any) -> None:
        self._busy = False
        error: StoreUnavailable | None = None
        if isinstance(reply, StoreUnavailable):
            error = reply
        elif not isinstance(reply, int) or reply < self._replicas:
            error = StoreUnavailable(
                f"{reply} replicas hold the write, [redis] replicas asks for {self._replicas}"
            )
        for answer in batch:
            if answer.done():
                continue
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(None)
        if self._coming:
            self._ask(fence_key)


def _ignore(_: Any) -> None:
    """Whether the throw-away key was set shows in what WAIT says."""
