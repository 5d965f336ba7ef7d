"""One node as the others see it, and how it claims its name.

The name is claimed by a transaction that only succeeds while nobody has it. A key that is there belongs to a
living node, to a dead one whose lease still runs, or to an earlier life of this one. Its process is asked
first (when it was one of this machine, see incarnation.py), so that a killed node comes back at once; else
its lease decides: a living holder renews every third of the ttl, a dead one's runs out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from cluster.errors import CoordinatorUnavailable, NameTaken
from cluster.etcd.gateway import Gateway
from cluster.etcd.lease import Lease
from cluster.etcd.wire import KeyValue, absent, get, put, unchanged
from cluster.incarnation import surely_dead

_LOOK_EVERY = 0.25


class Member(msgspec.Struct, frozen=True):
    """A node in one of its lives (`epoch`)."""

    name: str
    epoch: str
    internal: str = ""  # its internal transport, "tcp:127.0.0.1:5070"
    version: str = ""
    started_at: int = 0
    draining: bool = False
    process: str = ""  # see incarnation.py; filled in when it joins


async def claim(gateway: Gateway, prefix: str, current: Callable[[], Member | None], lease: Lease) -> int:
    """Put this node's key under its lease; returns the revision at which that was done.

    Raises NameTaken, CoordinatorUnavailable.
    """
    while (me := current()) is not None:
        key = prefix + me.name
        value = msgspec.json.encode(me)
        result = await gateway.txn([absent(key)], [put(key, value, lease.id)], [get(key)])
        if result.succeeded:
            return result.revision
        found = result.keys()
        if not found:
            continue
        holder = _holder(found[0])
        if holder is not None and holder.epoch != me.epoch and await _lives(gateway, holder, found[0], lease):
            raise NameTaken(me.name, holder.epoch, holder.internal)
        fresh = found[0].mod_revision
        result = await gateway.txn([unchanged(key, fresh)], [put(key, value, lease.id)])
        if result.succeeded:
            return result.revision
    raise CoordinatorUnavailable("the node left while it joined")


async def publish(gateway: Gateway, prefix: str, me: Member, lease: Lease) -> None:
    """Write this node's key anew, while it is its own. Raises CoordinatorUnavailable."""
    key = prefix + me.name
    while (found := await gateway.get(key)) is not None and found.lease == lease.id:
        fresh = put(key, msgspec.json.encode(me), lease.id)
        if (await gateway.txn([unchanged(key, found.mod_revision)], [fresh])).succeeded:
            return


def _holder(kv: KeyValue) -> Member | None:
    try:
        return msgspec.json.decode(kv.value, type=Member)
    except msgspec.MsgspecError:
        return None


async def _lives(gateway: Gateway, holder: Member, kv: KeyValue, mine: Lease) -> bool:
    """Whether the holder renews its lease: seen at once, or shown by outliving what was left of it."""
    if surely_dead(holder.process):
        return False
    loop = asyncio.get_running_loop()
    least = await gateway.time_to_live(kv.lease) if kv.lease else -1
    end = loop.time() + least + 1.5  # times to live come in whole seconds
    while least >= 0 and loop.time() < end:
        await asyncio.sleep(_LOOK_EVERY)
        left = await gateway.time_to_live(kv.lease)
        if left > least:
            return True
        least = left
    if not mine.sure:
        raise CoordinatorUnavailable("the lease ran out while the holder of the name was watched")
    return least >= 0
