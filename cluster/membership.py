"""Which nodes live: each holds a leased key in etcd, and follows the keys of all.

A key vanishes when its node leaves or its lease runs out. Nobody is declared dead because *we* cannot reach
etcd: the last snapshot stands until etcd answers again. Nor because etcd was away longer than leases last, or
comes back emptied: whoever is missing then has one lease time to join again before it counts as lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from cluster.errors import CoordinatorUnavailable, NameTaken
from cluster.etcd.gateway import FIRST_PAUSE, LAST_PAUSE, Gateway
from cluster.etcd.lease import Lease
from cluster.etcd.watch import Batch, follow
from cluster.etcd.wire import KeyValue
from cluster.events import Emit, MemberJoined, MemberLost, MembershipLapsed, NameLost, silent
from cluster.incarnation import this_process
from cluster.member import Member, claim, publish
from cluster.settings import EtcdSettings

__all__ = ["Member", "Members"]

_REMEMBERED = 10_000
_JOIN_PATIENCE = 10.0  # s that a start waits for etcd before it goes on without


class Members:
    """The members as this node sees them, and this node's own membership. Make it inside the running loop."""

    def __init__(self, settings: EtcdSettings, emit: Emit = silent, gateway: Gateway | None = None) -> None:
        """Raises BadAddress."""
        self._settings = settings
        self._emit = emit
        self._gateway = gateway or Gateway(settings, emit)
        self._own_gateway = gateway is None
        self._prefix = f"{settings.prefix.rstrip('/')}/members/"
        self._known: dict[str, Member] = {}
        self._gone: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._reprieved: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._me: Member | None = None
        self._lease: Lease | None = None
        self._claim_revision = 0
        self._lapsed = asyncio.Event()
        self._claimed = asyncio.Event()
        self._listed = asyncio.Event()
        self.snapshot: Mapping[str, Member] = MappingProxyType({})

    @property
    def connected(self) -> bool:
        """Whether etcd answers and this node's lease is surely held."""
        return self._gateway.available and (
            self._me is None or (self._lease is not None and self._lease.sure)
        )

    @property
    def gateway(self) -> Gateway:
        return self._gateway

    @property
    def etcd_prefix(self) -> str:
        """What every key of this cluster begins with."""
        return self._settings.prefix

    def state(self, name: str, epoch: str) -> Literal["alive", "dead", "unknown"]:
        """Of one incarnation of a node. "dead" only if it was seen to vanish, or another has its place."""
        member = self.snapshot.get(name)
        if member is not None:
            return "alive" if member.epoch == epoch else "dead"
        return "dead" if (name, epoch) in self._gone else "unknown"

    def start(self) -> None:
        """Follow the members without being one."""
        if not self._tasks:
            self._spawn(self._follow())
            self._spawn(self._bury())

    async def join(self, member: Member, patience: float = _JOIN_PATIENCE) -> bool:
        """Become a member, and stay one: after an outage of etcd this node joins again by itself.

        Returns False if etcd did not answer (or the name was not free) within `patience` seconds: the node
        goes on alone and joins when it can. Raises NameTaken if a living node has the name.
        """
        self.start()
        self._me = msgspec.structs.replace(member, process=this_process())
        refused: list[NameTaken] = []
        self._spawn(self._hold(refused))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._claimed.wait()
                if not refused:
                    await self._listed.wait()
        if refused:
            raise refused[0]
        return self._lease is not None

    async def set_draining(self, draining: bool = True) -> None:
        """Tell the others that this node takes no new calls; at the next joining if etcd is away now."""
        if self._me is None:
            return
        self._me = msgspec.structs.replace(self._me, draining=draining)
        if not await self._told():
            self._spawn(self._tell())

    async def leave(self) -> None:
        """Give the membership back and stop following. Harmless when there was none."""
        lease, self._lease, self._me = self._lease, None, None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if lease is not None:
            await lease.close()
            with contextlib.suppress(CoordinatorUnavailable, TimeoutError):
                async with asyncio.timeout(self._settings.timeout):
                    await lease.revoke()
        if self._own_gateway:
            await self._gateway.close()

    # -- this node

    async def _hold(self, refused: list[NameTaken]) -> None:
        """Claim the name, wait until the lease lapses, and again."""
        pause = FIRST_PAUSE
        joined = False
        while self._me is not None:
            self._lapsed.clear()
            lease: Lease | None = None
            try:
                lease = await Lease.grant(self._gateway, self._settings.lease_ttl, self._lapsed.set)
                revision = await claim(self._gateway, self._prefix, lambda: self._me, lease)
            except NameTaken as error:
                await _dismiss(lease)
                if not joined:
                    refused.append(error)
                    self._claimed.set()
                self._emit(NameLost(error.name, str(error)))
                return
            except CoordinatorUnavailable:
                await _dismiss(lease)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LAST_PAUSE)
                continue
            except BaseException:
                if lease is not None:
                    await lease.close()
                raise
            pause = FIRST_PAUSE
            joined = True
            self._lease, self._claim_revision = lease, revision
            self._claimed.set()
            await self._lapsed.wait()
            self._lease = None
            await lease.close()
            if self._me is not None:
                self._emit(MembershipLapsed(self._me.name))

    async def _told(self) -> bool:
        """Publish what this node is now; True also if that is done when it joins again."""
        if self._me is None or self._lease is None:
            return True
        try:
            await publish(self._gateway, self._prefix, self._me, self._lease)
        except CoordinatorUnavailable:
            return False
        return True

    async def _tell(self) -> None:
        pause = FIRST_PAUSE
        while not await self._told():
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, LAST_PAUSE)

    # -- all nodes

    async def _follow(self) -> None:
        async for batch in follow(self._gateway, self._prefix):
            self._take(batch)
            self._listed.set()

    def _take(self, batch: Batch) -> None:
        known = dict(self._known)
        for kv in batch.puts:
            self._learn(known, kv)
        missing = {key.removeprefix(self._prefix) for key in batch.deletes}
        if batch.whole:
            missing = known.keys() - {kv.key.removeprefix(self._prefix) for kv in batch.puts}
        if self._holds_since_before(batch.revision) and self._me is not None and self._me.name in missing:
            self._lapsed.set()  # our own key went: join again
        if batch.whole or not self._gateway.settled:
            deadline = asyncio.get_running_loop().time() + self._settings.lease_ttl
            for name in missing & known.keys():
                self._reprieved.setdefault(name, deadline)
        else:
            for name in missing:
                self._forget(known, name)
        self._publish(known)

    def _learn(self, known: dict[str, Member], kv: KeyValue) -> None:
        try:
            member = msgspec.json.decode(kv.value, type=Member)
        except msgspec.MsgspecError:
            return  # of a version that is not ours; not a node that we can reach
        name = kv.key.removeprefix(self._prefix)
        self._reprieved.pop(name, None)
        before = known.get(name)
        if before is None or before.epoch != member.epoch:
            if before is not None:
                self._bury_one(before)
            self._emit(MemberJoined(member.name, member.epoch))
        known[name] = member
        me = self._me
        other = me is not None and name == me.name and member.epoch != me.epoch
        if other and self._holds_since_before(kv.mod_revision):
            self._lapsed.set()  # somebody took the name over: `claim` finds out whether it lives

    def _holds_since_before(self, revision: int) -> bool:
        """Whether what happened at that revision happened to the key that we hold."""
        return self._lease is not None and revision > self._claim_revision

    def _forget(self, known: dict[str, Member], name: str) -> None:
        self._reprieved.pop(name, None)
        member = known.pop(name, None)
        if member is not None:
            self._bury_one(member)

    def _bury_one(self, member: Member) -> None:
        self._gone[(member.name, member.epoch)] = None
        if len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)
        self._emit(MemberLost(member.name, member.epoch))

    async def _bury(self) -> None:
        """Those whose keys were missing when etcd came back, and who have not come back in time."""
        while True:
            await asyncio.sleep(1.0)
            now = asyncio.get_running_loop().time()
            late = [name for name, deadline in self._reprieved.items() if deadline <= now]
            if late and self._gateway.available:
                known = dict(self._known)
                for name in late:
                    self._forget(known, name)
                self._publish(known)

    def _publish(self, known: dict[str, Member]) -> None:
        self._known = known
        self.snapshot = MappingProxyType(known)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))


async def _dismiss(lease: Lease | None) -> None:
    if lease is not None:
        with contextlib.suppress(CoordinatorUnavailable):
            await lease.revoke()
