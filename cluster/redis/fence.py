"""Waiting until what was written is safe: on replicas (`WAIT`), on the disk of the master (`WAITAOF`).

Both block their connection, so they never go over the one that reads: a slow replica must not delay a call.
They go over a connection of their own, behind a tiny write: they concern all of the stream of replication up
to the last write of the connection that asks, and that write comes after those that we want to be sure of
(their replies have been read). One wait is under way at a time; all who come meanwhile share the next.

What was written over a connection that has broken since may be lost, even where the server is back at the
same address: those who wait across a break are told that it is not safe.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import hiredis

from cluster.ending import end
from cluster.errors import StoreRefused, StoreUnavailable
from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Connection
from cluster.redis.link import TICK

WAIT_MS = 500
_KEEP_MS = 10_000

Told = Callable[[StoreUnavailable | None], None]
NotAble = Callable[[str, str], None]
"""Takes the address of a server that cannot do WAITAOF, and what it answered."""


class _Waiter:
    """Who waits, and the link over which it has written."""

    __slots__ = ("link", "told")

    def __init__(self, told: Told, link: object) -> None:
        self.told = told
        self.link = link


class ReplicaFence:
    """Beside one connection to a master."""

    def __init__(
        self,
        main: Connection,
        options: ConnectionOptions,
        replicas: int,
        *,
        fsync: bool = False,
        not_able: NotAble = lambda _address, _reason: None,
        option: str = "[redis] replicas",
    ) -> None:
        """`option` is named where too few replicas answer; `fsync` also waits for the disk of the master."""
        self._main = main
        self._replicas = replicas
        self._fsync = fsync
        self._not_able = not_able
        self._option = option
        self._connection = Connection(self._locate, options)
        self._coming: list[_Waiter] = []
        self._busy = False
        self._task: asyncio.Task[None] | None = None
        waits = (replicas > 0) + fsync
        self._wait_ms = max(50, min(WAIT_MS, int((options.timeout - TICK) * 1000 / max(1, waits))))

    def start(self) -> None:
        self._connection.start()

    async def close(self) -> None:
        """Who still waits is told that it is not known to be safe."""
        await end(self._task)
        await self._connection.close()
        self._tell(self._coming, StoreUnavailable("this node stops"))

    async def passed(self, fence_key: bytes) -> None:
        """Return when what was written on the main connection before this call is safe.

        `fence_key` is a throw-away key in a slot of that master. Raises StoreUnavailable if it is not.
        """
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def told(error: StoreUnavailable | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(None)

        self.submit(fence_key, told)
        await answer

    def submit(self, fence_key: bytes, told: Told) -> None:
        """The same with a callback; it must not raise. Call it when the reply to the write is told."""
        self._coming.append(_Waiter(told, self._main.link))
        if self._busy:
            return
        self._busy = True
        if self._connection.up:
            self._ask(fence_key)
        else:
            self._task = asyncio.get_running_loop().create_task(self._ask_when_up(fence_key))

    async def _locate(self) -> tuple[str, int]:
        if not self._main.up:
            raise StoreUnavailable("the master is not connected")
        return self._main.address

    async def _ask_when_up(self, fence_key: bytes) -> None:
        await self._connection.ready(self._wait_ms / 1000)
        self._ask(fence_key)

    def _ask(self, fence_key: bytes) -> None:
        batch, self._coming, self._busy = self._coming, [], True
        errors: list[StoreUnavailable] = []
        connection = self._connection
        if connection.up and connection.address != self._main.address:
            connection.reconnect("the master moved")  # and what is submitted now fails at once
        connection.submit(("SET", fence_key, b"", "PX", _KEEP_MS), functools.partial(self._written, errors))
        if self._replicas:
            held = functools.partial(self._held, errors)
            connection.submit(("WAIT", self._replicas, self._wait_ms), held)
        if self._fsync:
            synced = functools.partial(self._synced, errors)
            connection.submit(("WAITAOF", 1, 0, self._wait_ms), synced)
        connection.submit(("PING",), functools.partial(self._told, batch, errors, fence_key))

    # -- replies, one after the other; what was wrong is in `errors`

    def _written(self, errors: list[StoreUnavailable], reply: Any) -> None:
        if isinstance(reply, Exception):
            errors.append(_error(reply))

    def _held(self, errors: list[StoreUnavailable], reply: Any) -> None:
        if isinstance(reply, Exception):
            errors.append(_error(reply))
        elif reply < self._replicas:
            errors.append(
                StoreUnavailable(f"{reply} replicas hold the write, {self._option} asks for {self._replicas}")
            )

    def _synced(self, errors: list[StoreUnavailable], reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError):  # unknown before Redis 7.2, or without `appendonly yes`
            host, port = self._connection.address
            self._not_able(f"{host}:{port}", str(reply))
            errors.append(StoreUnavailable(f"fsync is asked for, but the server cannot confirm it: {reply}"))
        elif isinstance(reply, Exception):
            errors.append(_error(reply))
        elif reply[0] < 1:
            errors.append(StoreUnavailable(f"the master did not write to its disk within {self._wait_ms} ms"))

    def _told(
        self, batch: list[_Waiter], errors: list[StoreUnavailable], fence_key: bytes, reply: Any
    ) -> None:
        if isinstance(reply, Exception):
            errors.append(_error(reply))
        self._busy = False
        self._tell(batch, errors[0] if errors else None)
        if self._coming and not self._busy:
            self._ask(fence_key)

    def _tell(self, batch: list[_Waiter], error: StoreUnavailable | None) -> None:
        link, address = self._main.link, self._main.address
        moved = StoreUnavailable(
            f"the connection to {address[0]}:{address[1]} broke before the write was safe"
        )
        for waiter in batch:
            waiter.told(error or (moved if waiter.link is not link or link is None else None))


def _error(reply: Exception) -> StoreUnavailable:
    if isinstance(reply, StoreUnavailable):
        return reply
    return StoreRefused(str(reply))
