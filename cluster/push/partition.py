"""Partitions of the push queue: one Redis Stream each, one dispatcher each.

Their number is the same for ever and everywhere, so that every node finds a token in the same one.
"""

from __future__ import annotations

from zlib import crc32

PARTITIONS = 16


def partition_of(token: str) -> int:
    """Where the pushes of a token queue up."""
    return crc32(token.encode()) % PARTITIONS


def stream_key(prefix: str, partition: int) -> bytes:
    """Key of the stream; all other keys of the partition are this with a suffix, in the same slot."""
    return f"{prefix}:push:{{push:{partition:02}}}".encode()


def channel_of(prefix: str, partition: int) -> bytes:
    """Where it is published that a push was queued."""
    return f"{prefix}:push:{partition:02}".encode()
