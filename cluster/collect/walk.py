"""The way through all keys of one master, on a connection of its own.

Not on the one that reads bindings: Redis would note every key that is looked at there, tell it of each later
change, and, as it is not told of its own changes, leave it with what was true before.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import hiredis

from cluster.errors import StoreRefused, StoreUnavailable
from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Connection
from cluster.redis.link import Command
from cluster.redis.script import Script


class Walk:
    """Steps through the keys of one server, and puts questions about them."""

    def __init__(self, connection: Connection) -> None:
        """A walk ends where the connection is lost: behind another link may be another server, to which a
        cursor of this one means nothing."""
        self._connection = connection
        self._link = connection.link

    async def steps(self, pattern: bytes, count: int) -> AsyncGenerator[list[bytes]]:
        """What each SCAN of about `count` keys finds; also nothing. Raises StoreUnavailable."""
        cursor: Any = 0
        while cursor != b"0":
            ((cursor, keys),) = await self.ask([("SCAN", cursor, "MATCH", pattern, "COUNT", count)])
            yield keys

    async def ask(self, commands: list[Command]) -> list[Any]:
        """The replies, in order; a StoreRefused among them for what was wrong about one. What is asked here
        together may be done together, before anybody else is served. Raises StoreUnavailable."""
        if not commands:
            return []
        if self._connection.link is not self._link:
            raise StoreUnavailable("the connection broke in the middle of a sweep")
        replies: list[Any] = []
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(reply: Any) -> None:
            replies.append(StoreRefused(str(reply)) if isinstance(reply, hiredis.ReplyError) else reply)
            if len(replies) == len(commands) and not answer.done():
                answer.set_result(None)

        for command in commands:
            self._connection.submit(command, done)
        await answer
        for reply in replies:
            if isinstance(reply, StoreUnavailable) and not of_one_key(reply):
                raise reply
        return replies


def of_one_key(error: StoreUnavailable) -> bool:
    """Whether Redis refused it because of the key: it holds something else, or is on its way to another
    master. Others may be fine."""
    return isinstance(error, StoreRefused) and error.code in ("ERR", "WRONGTYPE", "MOVED", "ASK", "TRYAGAIN")


@contextlib.asynccontextmanager
async def walking(master: Connection, options: ConnectionOptions, script: Script) -> AsyncIterator[Walk]:
    """A walk on the server that `master` is connected to, which will know the script. Raises
    StoreUnavailable."""

    async def locate() -> tuple[str, int]:
        if not master.up:
            raise StoreUnavailable(f"no connection to Redis: {master.reason}")
        return master.address

    connection = Connection(locate, options, greeting=(("SCRIPT", "LOAD", script.text),))
    connection.start()
    try:
        if not await connection.ready(options.timeout):
            raise StoreUnavailable(f"no connection to Redis for a sweep: {connection.reason}")
        yield Walk(connection)
    finally:
        await connection.close()
