"""Publications: channels subscribed on demand, on a connection of their own, again after every gap.

`heard(channel, payload)` is called for each message; `heard(channel, None)` when Redis has confirmed that
from now on none is missed (after the first SUBSCRIBE and after each reconnection).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Connection

_BATCH = 500


class Subscriber:
    """A set of channels, heard on a connection beside the one to a master."""

    def __init__(
        self, master: Connection, options: ConnectionOptions, heard: Callable[[bytes, bytes | None], None]
    ) -> None:
        self._master = master
        self._channels: set[bytes] = set()
        self._heard = heard
        self._connection = Connection(self._locate, options, on_push=self._pushed, on_up=self._subscribe_all)
        self._closing: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._connection.start()

    async def close(self) -> None:
        await self._connection.close()

    def stop(self) -> None:
        """Close it in the background."""
        self._closing = asyncio.get_running_loop().create_task(self._connection.close())

    def move(self) -> None:
        """The master may have another address now."""
        if self._connection.up and self._connection.address != self._master.address:
            self._connection.reconnect("the master moved")

    def add(self, channel: bytes) -> None:
        if channel not in self._channels:
            self._channels.add(channel)
            self._connection.push(("SUBSCRIBE", channel))

    def remove(self, channel: bytes) -> None:
        if channel in self._channels:
            self._channels.discard(channel)
            self._connection.push(("UNSUBSCRIBE", channel))

    async def _locate(self) -> tuple[str, int]:
        if not self._master.up:
            raise StoreUnavailable("the master is not connected")
        return self._master.address

    def _subscribe_all(self, connection: Connection) -> None:
        channels = list(self._channels)
        for start in range(0, len(channels), _BATCH):
            connection.push(("SUBSCRIBE", *channels[start : start + _BATCH]))

    def _pushed(self, message: list[Any]) -> None:
        kind, channel = message[0], message[1]
        if channel not in self._channels:
            return
        if kind == b"message":
            self._heard(channel, message[2])
        elif kind == b"subscribe":
            self._heard(channel, None)
