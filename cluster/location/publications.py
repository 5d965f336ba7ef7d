"""Who waits for registrations of which address of record; one Redis channel per such address."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cluster.errors import StoreUnavailable
from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Connection
from cluster.redis.subscriber import Subscriber

Heard = Callable[[str, tuple[str, ...]], None]
"""(aor, device keys that registered). No keys: some may have been missed, read again."""


_LIMIT = 100_000


class Publications:
    """Turns messages of channels into calls of those who subscribed.

    There is one subscriber beside the connection to each master, and each is subscribed to all channels: a
    publication is heard at the very master that made the change. In a Redis Cluster the others forward it,
    so it may be heard more than once, but their forwarding is not relied on (it loses what is published
    while a link between two of them is down).
    """

    def __init__(self, options: ConnectionOptions, prefix: str, outdated: Callable[[str], None]) -> None:
        """`outdated(aor)` is called before the subscribers, so that they read what is true now."""
        self._options = options
        self._start = f"{prefix}:reg:".encode()
        self._outdated = outdated
        self._waiting: dict[str, list[Heard]] = {}
        self._subscribers: dict[Connection, Subscriber] = {}

    def follow(self, masters: Iterable[Connection]) -> None:
        """Listen at these masters, wherever they are now, and at no others."""
        masters = set(masters)
        for master in self._subscribers.keys() - masters:
            self._subscribers.pop(master).stop()
        for master in masters:
            subscriber = self._subscribers.get(master)
            if subscriber is None:
                subscriber = self._subscribers[master] = Subscriber(master, self._options, self._heard)
                for aor in self._waiting:
                    subscriber.add(self.channel(aor))
                subscriber.start()
            elif master.up:
                subscriber.move()

    async def close(self) -> None:
        for subscriber in self._subscribers.values():
            await subscriber.close()

    def channel(self, aor: str) -> bytes:
        return b"%b{%b}" % (self._start, aor.encode())

    def add(self, aor: str, heard: Heard) -> None:
        """Raises StoreUnavailable when too many addresses are waited for."""
        if aor not in self._waiting:
            if len(self._waiting) >= _LIMIT:
                raise StoreUnavailable(f"{_LIMIT} addresses are waited for already")
            self._waiting[aor] = []
            for subscriber in self._subscribers.values():
                subscriber.add(self.channel(aor))
        self._waiting[aor].append(heard)

    def remove(self, aor: str, heard: Heard) -> None:
        waiting = self._waiting.get(aor)
        if waiting is None or heard not in waiting:
            return
        waiting.remove(heard)
        if not waiting:
            del self._waiting[aor]
            for subscriber in self._subscribers.values():
                subscriber.remove(self.channel(aor))

    def _heard(self, channel: bytes, payload: bytes | None) -> None:
        aor = channel[len(self._start) + 1 : -1].decode()
        keys = tuple(payload.decode().split("\n")) if payload else ()
        self._outdated(aor)
        for heard in tuple(self._waiting.get(aor, ())):
            heard(aor, keys)
