"""The partitions of a duty among the living nodes: each stands for election with one lease in etcd.

Under that lease lie `<prefix><duty>/nodes/NAME` (this node can do it) and `<prefix><duty>/NN` (it does, for
that partition). A killed node loses both together, so that the others share its partitions as soon as its
lease has run out. Who sees that another is wanted resigns. Who is not sure of its lease stops at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import msgspec

from cluster.election.share import Holder, decide
from cluster.election.term import Term
from cluster.errors import CoordinatorUnavailable
from cluster.etcd.gateway import FIRST_PAUSE, LAST_PAUSE, Gateway
from cluster.etcd.lease import Lease
from cluster.etcd.watch import Batch, follow
from cluster.etcd.wire import absent, delete, put, unchanged

_DRAINS = "this node drains"
_LOOK = 0.25  # s between looks at whether this node may stand
_HANDED_OVER = 0.5  # s that a resignation waits for what is under way to be told to Redis


class Election:
    """This node's terms. Make it in the running loop."""

    def __init__(
        self,
        gateway: Gateway,
        prefix: str,
        duty: str,
        partitions: int,
        name: str,
        ttl: int,
        elected: Callable[[list[Term]], None],
        over: Callable[[list[Term], str], Awaitable[None]],
        fit: Callable[[], bool] = lambda: True,
    ) -> None:
        """`over(terms, reason)` ends them before it returns; what it returns is awaited before the keys go.
        While not `fit()`, this node leaves the partitions to others."""
        self._gateway = gateway
        self._prefix = f"{prefix.rstrip('/')}/{duty}/"
        self._partitions = partitions
        self._name = name
        self._ttl = ttl
        self._elected = elected
        self._over = over
        self._fit = fit
        self.terms: dict[int, Term] = {}
        self.holders: dict[int, Holder] = {}
        self.names: set[str] = set()
        self._floors: dict[int, int] = {}
        self._lease: Lease | None = None
        self._standing = 0  # revision of our candidacy, 0: none
        self._draining = False
        self._changed, self._lapsed = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(work) for work in (self._hold(), self._follow(), self._act())]

    async def drain(self) -> None:
        """Leave the partitions to others, and stand no more."""
        self._draining = True
        with contextlib.suppress(CoordinatorUnavailable):
            await self._withdraw()
        await self._resign(list(self.terms.values()), _DRAINS)

    async def close(self) -> None:
        """End all terms and the lease."""
        self._draining = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        lease, self._lease = self._lease, None
        await self._end(list(self.terms.values()), "this node stops")
        if lease is not None:
            await lease.close()
            with contextlib.suppress(CoordinatorUnavailable, TimeoutError):
                async with asyncio.timeout(1.0):
                    await lease.revoke()

    def outdone(self, term: Term, fence: int) -> None:
        """Redis knows a greater fence. Should the next election come out lower all the same, then etcd was
        set back: the fence goes on from there."""
        self._floors[term.partition] = fence
        if self.terms.get(term.partition) is term:
            task = asyncio.get_running_loop().create_task(
                self._resign([term], f"Redis knows of a later leader (fence {fence})")
            )
            self._tasks = [*(t for t in self._tasks if not t.done()), task]

    # -- the lease

    async def _hold(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._lapsed.clear()
            try:
                self._lease = await Lease.grant(self._gateway, self._ttl, self._lost)
            except CoordinatorUnavailable:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LAST_PAUSE)
                continue
            pause = FIRST_PAUSE
            self._changed.set()
            await self._lapsed.wait()
            lease, self._lease, self._standing = self._lease, None, 0
            await lease.close()

    def _lost(self) -> None:
        """Stop at once: nothing is waited for."""
        self._lapsed.set()
        terms = list(self.terms.values())
        self.terms.clear()
        for term in terms:
            self.holders.pop(term.partition, None)
        if terms:
            self._over(terms, "etcd did not renew the lease in time")

    # -- what the others do

    async def _follow(self) -> None:
        async for batch in follow(self._gateway, self._prefix):
            self._take(batch)
            self._changed.set()

    def _take(self, batch: Batch) -> None:
        if batch.whole:
            self.holders = {n: self.holders[n] for n in self.terms if n in self.holders}
            self.names.clear()
        for kv in batch.puts:
            kind, name = self._kind(kv.key)
            if kind == "node":
                self.names.add(name)
            elif kind == "partition":
                with contextlib.suppress(msgspec.MsgspecError):
                    holder = msgspec.json.decode(kv.value, type=Holder)
                    self._learn(int(name), Holder(holder.node, holder.epoch, kv.mod_revision))
        for key in batch.deletes:
            kind, name = self._kind(key)
            if kind == "node":
                self.names.discard(name)
                if name == self._name and batch.revision > self._standing:
                    self._standing = 0
            elif kind == "partition":
                known = self.holders.get(int(name))
                if known is not None and known.revision < batch.revision:
                    del self.holders[int(name)]

    def _learn(self, partition: int, holder: Holder) -> None:
        """What we have won ourselves we know before we hear of it: older news do not count."""
        known = self.holders.get(partition)
        if known is None or known.revision <= holder.revision or partition not in self.terms:
            self.holders[partition] = holder

    def _kind(self, key: str) -> tuple[str, str]:
        rest = key.removeprefix(self._prefix)
        if rest.startswith("nodes/"):
            return "node", rest[6:]
        return ("partition", rest) if rest.isdigit() else ("", "")

    # -- what this node does

    async def _act(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._changed.wait()
            self._changed.clear()
            lease = self._lease
            if lease is None or not lease.sure:
                continue
            try:
                await self._step(lease)
            except CoordinatorUnavailable:
                await asyncio.sleep(_LOOK)

    async def _step(self, lease: Lease) -> None:
        if self._draining or not self._fit():
            await self._withdraw()
            if self.terms:
                reason = _DRAINS if self._draining else "Redis is away"
                await self._resign(list(self.terms.values()), reason)
            return
        if not self._standing:
            result = await self._gateway.put(self._node_key, _epoch(lease).encode(), lease.id)
            self._standing = result
            return  # the others hear of it when we do
        revisions = {partition: term.revision for partition, term in self.terms.items()}
        steps = decide(self._name, _epoch(lease), self.names, self.holders, revisions, self._partitions)
        if steps.lost:
            await self._end([self.terms[n] for n in steps.lost], "another node has the partition")
        if steps.resign:
            await self._resign([self.terms[n] for n in steps.resign], "another node takes it over")
        terms = [self._term(n, self.holders[n].revision, lease) for n in steps.resume]
        won = await asyncio.gather(*(self._campaign(n, lease) for n in steps.campaign))
        self._begin([*terms, *(term for term in won if term is not None)])

    async def _campaign(self, partition: int, lease: Lease) -> Term | None:
        key, value = self._key(partition), msgspec.json.encode(Holder(self._name, _epoch(lease)))
        try:
            result = await self._gateway.txn([absent(key)], [put(key, value, lease.id)])
        except CoordinatorUnavailable:
            return None  # if it was done all the same, we hear of it
        return self._term(partition, result.revision, lease) if result.succeeded else None

    def _term(self, partition: int, revision: int, lease: Lease) -> Term:
        fence = max(revision, self._floors.get(partition, 0) + 1)
        self.holders[partition] = Holder(self._name, _epoch(lease), revision)
        return Term(partition, fence, revision, lease)

    def _begin(self, terms: list[Term]) -> None:
        new = [term for term in terms if term.sure and term.partition not in self.terms]
        for term in new:
            self.terms[term.partition] = term
        if new:
            self._elected(new)

    async def _end(self, terms: list[Term], reason: str) -> None:
        terms = [term for term in terms if self.terms.get(term.partition) is term]
        for term in terms:
            del self.terms[term.partition]
        if terms:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HANDED_OVER):
                    await self._over(terms, reason)

    async def _resign(self, terms: list[Term], reason: str) -> None:
        await self._end(terms, reason)
        with contextlib.suppress(CoordinatorUnavailable):
            await asyncio.gather(*(self._give_back(term) for term in terms))
        self._changed.set()

    async def _give_back(self, term: Term) -> None:
        key = self._key(term.partition)
        await self._gateway.txn([unchanged(key, term.revision)], [delete(key)])
        holder = self.holders.get(term.partition)
        if holder is not None and holder.revision == term.revision:
            del self.holders[term.partition]

    async def _withdraw(self) -> None:
        if self._standing:
            self._standing = 0
            await self._gateway.delete(self._node_key)

    @property
    def _node_key(self) -> str:
        return f"{self._prefix}nodes/{self._name}"

    def _key(self, partition: int) -> str:
        return f"{self._prefix}{partition:02}"


def _epoch(lease: Lease) -> str:
    """A key counts as ours only under the present lease."""
    return f"{lease.id:x}"
