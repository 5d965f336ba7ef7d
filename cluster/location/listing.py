"""Looking at many records, for operators. SCAN in small steps; never KEYS, which stops everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from cluster.location.binding import decode
from cluster.location.record import Record, make_record
from cluster.redis.topology import Topology

_STEP = 500
_SAMPLE = 1000


async def scan(
    topology: Topology, prefix: bytes, match: str, limit: int, now_ms: Callable[[], int]
) -> AsyncIterator[Record]:
    """At most `limit` records that have living bindings. Raises StoreUnavailable."""
    pattern = prefix + b"{" + match.encode() + b"}"
    left = limit
    for connection in topology.connections:
        cursor: Any = 0
        while left > 0:
            cursor, keys = await connection.call("SCAN", cursor, "MATCH", pattern, "COUNT", _STEP)
            replies = await asyncio.gather(*(connection.call("HGETALL", key) for key in keys))
            for key, reply in zip(keys, replies, strict=True):
                bindings = (decode(field, value) for field, value in reply.items())
                aor = key[len(prefix) + 1 : -1].decode(errors="replace")
                record = make_record(aor, (b for b in bindings if b is not None), now_ms())
                if record.bindings and left > 0:
                    left -= 1
                    yield record
            if cursor == b"0":
                break


async def count(topology: Topology, prefix: bytes) -> int:
    """How many addresses of record there are: exact where a master has few keys, else estimated from the
    share that they have of the first keys in hash order, which is a random sample."""
    total = 0.0
    for connection in topology.connections:
        size: int = await connection.call("DBSIZE")
        cursor: Any = 0
        seen = ours = 0
        while seen < _SAMPLE:
            cursor, keys = await connection.call("SCAN", cursor, "COUNT", _SAMPLE)
            seen += len(keys)
            ours += sum(key.startswith(prefix) for key in keys)
            if cursor == b"0":
                size = seen
                break
        total += size * ours / seen if seen else 0
    return round(total)
