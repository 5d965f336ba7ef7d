"""The location service: bindings in Redis, read through a local cache. (Interface; being filled in.)"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cluster.location.binding import Binding
from cluster.location.record import Change, Outcome, Record

__all__ = ["Binding", "Change", "LocationService", "Outcome", "Record"]

Heard = Callable[[str, tuple[str, ...]], None]
"""(aor, device keys that registered). No keys: some may have been missed, read again."""


class LocationService:
    """Which bindings an address of record has, for all nodes."""

    connected: bool

    def now_ms(self) -> int:
        """The store's clock as known here, ms since 1970."""
        raise NotImplementedError

    def cached(self, aor: str) -> Record | None:
        """The record if the cache holds it; an empty record is a known absence; None = fetch."""
        raise NotImplementedError

    async def fetch(self, aor: str) -> Record:
        """Read from Redis. Raises StoreUnavailable within the timeout."""
        raise NotImplementedError

    def last_known(self, aor: str) -> Record | None:
        """While Redis is away: what was cached when it went; expired bindings left out."""
        raise NotImplementedError

    async def lookup(self, aor: str) -> Record:
        """cached, else fetched, else (Redis away) last known; raises StoreUnavailable if nothing is known."""
        raise NotImplementedError

    async def register(
        self,
        aor: str,
        changes: Sequence[Change],
        *,
        max_contacts: int,
        call_id: str,
        cseq: int,
        wildcard: bool = False,
    ) -> Outcome:
        """One REGISTER, atomically. Raises StoreUnavailable (503) within 2 s."""
        raise NotImplementedError

    def subscribe(self, aor: str, heard: Heard) -> None:
        """Call `heard(aor, keys)` at every registration of `aor` at any node, and with no keys once it is sure
        that none will be missed from now on, and after each gap: read the record then."""
        raise NotImplementedError

    def unsubscribe(self, aor: str, heard: Heard) -> None:
        raise NotImplementedError

    async def shared_secret(self, name: str) -> bytes:
        """32 random bytes that all nodes share under that name; made by the first who asks."""
        raise NotImplementedError
