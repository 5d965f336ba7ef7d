"""Publications of the queue: there is something new in a partition, or a push was withdrawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Connection
from cluster.redis.subscriber import Subscriber


class Pokes:
    """Beside the connection to each master one subscriber, of the channels of the partitions that this node
    dispatches: a script publishes at the master that has the partition."""

    def __init__(
        self, options: ConnectionOptions, channels: tuple[bytes, ...], heard: Callable[[int, str], None]
    ) -> None:
        """`heard(partition, withdrawn)`: a push id, or "" if something may be new."""
        self._options = options
        self._numbers = {channel: number for number, channel in enumerate(channels)}
        self._channels = channels
        self._heard = heard
        self._wanted: set[bytes] = set()
        self._subscribers: dict[Connection, Subscriber] = {}

    def follow(self, masters: Iterable[Connection]) -> None:
        """Listen at these masters, wherever they are now; call it now and then."""
        masters = set(masters)
        for master in self._subscribers.keys() - masters:
            self._subscribers.pop(master).stop()
        for master in masters:
            subscriber = self._subscribers.get(master)
            if subscriber is None:
                subscriber = self._subscribers[master] = Subscriber(master, self._options, self._told)
                for channel in self._wanted:
                    subscriber.add(channel)
                subscriber.start()
            elif master.up:
                subscriber.move()

    def add(self, partition: int) -> None:
        self._wanted.add(self._channels[partition])
        for subscriber in self._subscribers.values():
            subscriber.add(self._channels[partition])

    def remove(self, partition: int) -> None:
        self._wanted.discard(self._channels[partition])
        for subscriber in self._subscribers.values():
            subscriber.remove(self._channels[partition])

    async def close(self) -> None:
        for subscriber in self._subscribers.values():
            await subscriber.close()

    def _told(self, channel: bytes, payload: bytes | None) -> None:
        self._heard(self._numbers[channel], payload.decode() if payload else "")
