"""What keeps a collector that lost its lease from writing."""

from __future__ import annotations

import msgspec


class Fence(msgspec.Struct, frozen=True):
    """`number` grows with every term. Each script of a collector looks at `key` first, and does nothing where
    a greater number stands; else it writes its own. `key` is b"" in a Redis Cluster, where no script may look
    into another slot: there the key is looked at before each step instead."""

    key: bytes
    number: int
