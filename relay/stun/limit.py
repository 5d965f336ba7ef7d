"""How much one source may ask: token buckets in bounded memory. Reads no clock."""

from __future__ import annotations


class SourceLimit:
    """A bucket for each source. Whoever was not heard for a while is forgotten, and begins full."""

    __slots__ = ("_burst", "_most", "_new", "_old", "_rate")

    def __init__(self, rate: float, burst: float, most: int = 50_000) -> None:
        """`rate`: per second, 0 for no limit. `burst`: at once. `most`: sources remembered of late."""
        self._rate, self._burst, self._most = rate, burst, most
        self._new: dict[str, tuple[float, float]] = {}  # source -> tokens, and when
        self._old: dict[str, tuple[float, float]] = {}

    def passes(self, host: str, now: float) -> bool:
        """Whether a source may ask now; it has, if so."""
        if not self._rate:
            return True
        source = host if ":" not in host else ":".join(host.split(":")[:4])  # a /64 is one customer
        tokens, at = self._new.get(source) or self._old.get(source) or (self._burst, now)
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        if source not in self._new and len(self._new) >= self._most:
            self._old, self._new = self._new, {}
        if tokens < 1:
            self._new[source] = (tokens, now)
            return False
        self._new[source] = (tokens - 1, now)
        return True
