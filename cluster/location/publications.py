"""Who waits for registrations of which address of record; one Redis channel per such address."""

from __future__ import annotations

from collections.abc import Callable

from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Locate
from cluster.redis.subscriber import Subscriber

Heard = Callable[[str, tuple[str, ...]], None]
"""(aor, device keys that registered). No keys: some may have been missed, read again."""


class Publications:
    """Turns messages of channels into calls of those who subscribed."""

    def __init__(
        self,
        locate: Locate,
        options: ConnectionOptions,
        prefix: str,
        outdated: Callable[[str], None],
    ) -> None:
        """`outdated(aor)` is called before the subscribers, so that they read what is true now."""
        self._start = f"{prefix}:reg:".encode()
        self._outdated = outdated
        self._waiting: dict[str, list[Heard]] = {}
        self._subscriber = Subscriber(locate, options, self._heard)

    def start(self) -> None:
        self._subscriber.start()

    async def close(self) -> None:
        await self._subscriber.close()

    @property
    def connected(self) -> bool:
        return self._subscriber.connected

    def channel(self, aor: str) -> bytes:
        return b"%b{%b}" % (self._start, aor.encode())

    def add(self, aor: str, heard: Heard) -> None:
        """Raises StoreUnavailable when too many addresses are waited for."""
        if aor not in self._waiting:
            self._subscriber.add(self.channel(aor))
            self._waiting[aor] = []
        self._waiting[aor].append(heard)

    def remove(self, aor: str, heard: Heard) -> None:
        waiting = self._waiting.get(aor)
        if waiting is None or heard not in waiting:
            return
        waiting.remove(heard)
        if not waiting:
            del self._waiting[aor]
            self._subscriber.remove(self.channel(aor))

    def _heard(self, channel: bytes, payload: bytes | None) -> None:
        aor = channel[len(self._start) + 1 : -1].decode()
        keys = tuple(payload.decode().split("\n")) if payload else ()
        self._outdated(aor)
        for heard in tuple(self._waiting.get(aor, ())):
            heard(aor, keys)
