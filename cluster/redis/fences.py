"""A fence beside each connection to a master, made when it is first needed."""

from __future__ import annotations

import asyncio

from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Connection
from cluster.redis.fence import NotAble, ReplicaFence, Told
from cluster.redis.topology import Topology


class Fences:
    """For one purpose: how many replicas, and whether the disk, is the same for all who ask here."""

    def __init__(
        self,
        topology: Topology,
        options: ConnectionOptions,
        replicas: int,
        *,
        fsync: bool = False,
        not_able: NotAble = lambda _address, _reason: None,
        option: str = "[redis] replicas",
    ) -> None:
        """See ReplicaFence. `topology` says which connection leads to a key."""
        self._topology = topology
        self._options = options
        self._replicas = replicas
        self._fsync = fsync
        self._not_able = not_able
        self._option = option
        self._fences: dict[Connection, ReplicaFence] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def needed(self) -> bool:
        """Whether anything has to be waited for."""
        return self._replicas > 0 or self._fsync

    async def passed(self, key: bytes, fence_key: bytes) -> None:
        """Return when what was written about `key` before this call is safe. Raises StoreUnavailable."""
        await self._beside(key).passed(fence_key)

    def submit(self, key: bytes, fence_key: bytes, told: Told) -> None:
        """The same with a callback; call it when the reply to the write is told."""
        self._beside(key).submit(fence_key, told)

    async def close(self) -> None:
        fences, self._fences = self._fences, {}
        for fence in fences.values():
            await fence.close()
        await asyncio.gather(*self._closing)

    def _beside(self, key: bytes) -> ReplicaFence:
        main = self._topology.route(key)
        fence = self._fences.get(main)
        if fence is None:
            self._prune()
            fence = self._fences[main] = ReplicaFence(
                main,
                self._options,
                self._replicas,
                fsync=self._fsync,
                not_able=self._not_able,
                option=self._option,
            )
            fence.start()
        return fence

    def _prune(self) -> None:
        """A Redis Cluster that was resharded has other masters."""
        present = self._topology.connections
        for connection in [one for one in self._fences if one not in present]:
            task = asyncio.get_running_loop().create_task(self._fences.pop(connection).close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
