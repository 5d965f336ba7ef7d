"""Records read before, kept honest by Redis (CLIENT TRACKING), also while it is away.

Why it is honest. The connection that reads and writes is the one that is told of changes, and Redis writes
both into one stream: a reply that shows the state before a change stands before the notice of that change.
So a record is put here in the very callback that takes the reply out of the stream (`done`), never after an
await: a notice read in the same chunk would otherwise come before the record it has to remove, and the old
record would stay for good. Our own writes bring no notice (NOLOOP), but the script returns the whole new
state in its reply, and that is put here even when nobody waits for the reply any more.

Redis remembers per key which connections have read it, and forgets that when it has told them; hence the
script reads the key once more after it has written, else the next change would be kept from us. The
broadcast mode (BCAST PREFIX) would need no such care, but there NOLOOP does not cover what a script writes
(tried with Redis 7.0 and Valkey 8.1): every REGISTER would throw its own record out of the cache, and each
node would have to hear of every REGISTER of all.

What it cannot see. A network that is silently cut is noticed when the health check is not answered, at
most one period (1 s) plus `[redis] timeout` later; the cache may be that old, and never older. A loss of
any connection and any change of the topology empties it.

Redis away: what was cached stays readable through `last_known` until the connection is back, each binding
until its own expiry, so that calls to registered phones go on.
"""

from __future__ import annotations

from collections import OrderedDict

from cluster.location.record import Record, make_record


class RecordCache:
    """At most `limit` records by address of record; the least recently used one leaves first."""

    __slots__ = ("_fresh", "_limit", "_stale", "hits", "misses")

    def __init__(self, limit: int) -> None:
        self._fresh: OrderedDict[str, Record] = OrderedDict()
        self._stale: OrderedDict[str, Record] = OrderedDict()
        self._limit = limit
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._fresh)

    def get(self, aor: str, now_ms: int) -> Record | None:
        """The record without expired bindings; None where it is not cached."""
        record = self._fresh.get(aor)
        if record is None:
            self.misses += 1
            return None
        self.hits += 1
        self._fresh.move_to_end(aor)
        if record.until <= now_ms:
            record = self._fresh[aor] = make_record(
                aor, record.bindings, now_ms, record.known, record.messages
            )
        return record

    def put(self, record: Record) -> None:
        """Call from the callback of the reply only."""
        fresh = self._fresh
        fresh[record.aor] = record
        fresh.move_to_end(record.aor)
        if len(fresh) > self._limit:
            fresh.popitem(last=False)

    def drop(self, aor: str) -> None:
        self._fresh.pop(aor, None)

    def clear(self) -> None:
        """Forget everything: the truth is at another place now."""
        self._fresh.clear()

    def disconnected(self) -> None:
        """Nothing is fresh any more; what was is the last known."""
        if not self._stale:
            self._stale, self._fresh = self._fresh, OrderedDict()
        elif self._fresh:
            self._stale.update(self._fresh)
            self._fresh = OrderedDict()
            while len(self._stale) > self._limit:
                self._stale.popitem(last=False)

    def connected(self) -> None:
        """Redis can be asked again."""
        if self._stale:
            self._stale = OrderedDict()

    def last_known(self, aor: str, now_ms: int) -> Record | None:
        """What was cached when Redis went away; None where nothing was or nothing of it still lives."""
        record = self._stale.get(aor)
        if record is None:
            return None
        if record.until > now_ms:
            return record
        return make_record(aor, record.bindings, now_ms, record.known, record.messages)
