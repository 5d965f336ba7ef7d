"""Which part of the queue a push belongs to: all pushes of one token share one, so they keep their order."""

from __future__ import annotations

from zlib import crc32

PARTITIONS = 16


def partition_of(token: str) -> int:
    """0..15, the same at every node."""
    return crc32(token.encode()) % PARTITIONS
