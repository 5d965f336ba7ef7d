"""Looking at queues, for operators: reads only, in small steps."""

from __future__ import annotations

import msgspec

from cluster.messages.pending import Pending
from cluster.messages.queue import Queue
from cluster.messages.record import decode
from cluster.redis.store import Store

_STEP = 100
_SCANNED = 500


class Row(msgspec.Struct, frozen=True):
    """One message of a queue. `owed`: devices that have not confirmed it, `had`: those that have or refused;
    `tried`: the last bad final status of each device."""

    pending: Pending
    owed: tuple[str, ...]
    had: tuple[str, ...]
    tried: dict[str, int]


async def listed(store: Store, queue: Queue, aor: str, limit: int) -> list[Row]:
    """The first `limit` messages in the order of delivery. Raises StoreUnavailable."""
    key, rows, start = queue.key(aor), list[Row](), 0
    while start < limit:
        stop = min(limit, start + _STEP) - 1
        ids: list[bytes] = await store.call(key, "ZRANGE", key + b":order", start, stop)
        if not ids:
            break
        fields = [field for one in ids for field in (one, one + b"/", one + b"!")]
        values = await store.call(key, "HMGET", key, *fields)
        for index, one in enumerate(ids):
            message, marks, tried = values[3 * index : 3 * index + 3]
            pending = decode(aor, one.decode(), message) if message and marks else None
            if pending is not None:
                rows.append(Row(pending, _signed(marks, "+"), _signed(marks, "-"), _tried(tried or b"")))
        start = stop + 1
    return rows


async def users(store: Store, queue: Queue, limit: int) -> list[tuple[str, int]]:
    """At most `limit` addresses of record that have queues, with their lengths. Raises StoreUnavailable."""
    found: dict[str, int] = {}
    for connection in store.topology.connections:
        cursor: bytes | int = 0
        while len(found) < limit:
            cursor, keys = await connection.call("SCAN", cursor, "MATCH", queue.pattern, "COUNT", _SCANNED)
            for key in keys[: limit - len(found)]:
                size: int = await store.call(key, "ZCARD", key + b":order")
                if size:
                    found[queue.aor(key)] = size
            if cursor == b"0":
                break
    return sorted(found.items())


def _signed(marks: bytes, sign: str) -> tuple[str, ...]:
    lines = marks.decode(errors="surrogateescape").split("\n")[1:]
    return tuple(text[1:] for text in lines if text[:1] == sign)


def _tried(lines: bytes) -> dict[str, int]:
    pairs = (text.split(" ", 1) for text in lines.decode(errors="surrogateescape").split("\n") if text)
    return {device: int(status) for status, device in pairs}
