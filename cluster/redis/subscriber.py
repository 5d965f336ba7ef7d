"""Publications: channels subscribed on demand, on a connection of their own, again after every gap.

`heard(channel, payload)` is called for each message; `heard(channel, None)` when Redis has confirmed that
from now on none is missed (after the first SUBSCRIBE and after each reconnection).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Connection, Locate

_BATCH = 500


class Subscriber:
    """A bounded set of channels on one connection."""

    def __init__(
        self,
        locate: Locate,
        options: ConnectionOptions,
        heard: Callable[[bytes, bytes | None], None],
        limit: int = 100_000,
    ) -> None:
        self._channels: set[bytes] = set()
        self._heard = heard
        self._limit = limit
        self._connection = Connection(locate, options, on_push=self._pushed, on_up=self._subscribe_all)

    def start(self) -> None:
        self._connection.start()

    async def close(self) -> None:
        await self._connection.close()

    @property
    def connected(self) -> bool:
        return self._connection.up

    def add(self, channel: bytes) -> None:
        """Raises StoreUnavailable when too many channels are subscribed already."""
        if channel in self._channels:
            return
        if len(self._channels) >= self._limit:
            raise StoreUnavailable(f"{self._limit} addresses are waited for already")
        self._channels.add(channel)
        self._connection.push(("SUBSCRIBE", channel))

    def remove(self, channel: bytes) -> None:
        if channel in self._channels:
            self._channels.discard(channel)
            self._connection.push(("UNSUBSCRIBE", channel))

    def reconnect(self, reason: str) -> None:
        """The server it listens to is not the right one any more."""
        self._connection.reconnect(reason)

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
