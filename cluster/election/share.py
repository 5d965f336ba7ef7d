"""Who should lead what, and what this node has to do about it: decisions without etcd and clock."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b

import msgspec


class Holder(msgspec.Struct, frozen=True):
    """Who has the key of a partition. `revision`: at which it was written."""

    node: str
    epoch: str
    revision: int = 0


class Steps(msgspec.Struct, frozen=True):
    """Partitions to campaign for, terms won unknowingly, to give up, and that were taken from us."""

    campaign: tuple[int, ...] = ()
    resume: tuple[int, ...] = ()
    resign: tuple[int, ...] = ()
    lost: tuple[int, ...] = ()


def wanted(partition: int, names: Iterable[str], partitions: int) -> str:
    """The node that should lead a partition; "" if there is none. Who sees the same names agrees.

    Rendezvous hashing, with a bound that keeps the shares even: when a node comes or goes, few others move.
    """
    shares = _shares(tuple(sorted(set(names))), partitions)
    return shares[partition] if shares else ""


@functools.lru_cache(maxsize=64)
def _shares(names: tuple[str, ...], partitions: int) -> tuple[str, ...]:
    if not names:
        return ()
    most = -(-partitions // len(names))
    load = dict.fromkeys(names, 0)
    shares = []
    for partition in range(partitions):
        free = (name for name in names if load[name] < most)
        name = max(free, key=lambda name: _weight(partition, name))
        load[name] += 1
        shares.append(name)
    return tuple(shares)


def _weight(partition: int, name: str) -> bytes:
    return blake2b(f"{partition}:{name}".encode(), digest_size=8).digest()


def decide(
    me: str,
    epoch: str,
    names: Collection[str],
    holders: Mapping[int, Holder],
    terms: Mapping[int, int],
    partitions: int,
) -> Steps:
    """`names` are the candidates, `terms` the revisions of the keys of our own, by partition."""
    campaign, resume, resign, lost = [], [], [], []
    for partition in range(partitions):
        ours = wanted(partition, names, partitions) == me
        holder = holders.get(partition)
        mine = holder is not None and holder.node == me and holder.epoch == epoch
        if partition in terms:
            if not mine:
                lost.append(partition)  # its key was deleted, or is another's
            elif not ours:
                resign.append(partition)
        elif holder is None:
            if ours:
                campaign.append(partition)
        elif mine:
            resume.append(partition)
    return Steps(tuple(campaign), tuple(resume), tuple(resign), tuple(lost))
