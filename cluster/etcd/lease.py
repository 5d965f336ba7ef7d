"""A lease that is kept alive, with an honest answer to "do I still hold it?".

etcd counts from when it handled a renewal, we count from when we sent it: our deadline is always the earlier
one. Whoever acts in the name of the lease asks `sure` first and stops when it is false.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from cluster.ending import end
from cluster.errors import CoordinatorUnavailable
from cluster.etcd.gateway import Gateway

_MARGIN = 0.2  # of the ttl: left for clocks that run unequally fast, and for stopping in time


class Lease:
    """One granted lease; made by `grant`. It renews itself every third of its ttl until closed or lost."""

    def __init__(self, gateway: Gateway, lease: int, ttl: int, sent: float, lost: Callable[[], None]) -> None:
        self._gateway = gateway
        self._lost = lost
        self._until = sent + ttl * (1 - _MARGIN)
        self._over = False
        self.id = lease
        self.ttl = ttl
        self._task = asyncio.get_running_loop().create_task(self._keep())

    @classmethod
    async def grant(cls, gateway: Gateway, ttl: int, lost: Callable[[], None]) -> Lease:
        """`lost()` is called once: etcd said that it is gone, or it could not be renewed in time.
        Raises CoordinatorUnavailable."""
        sent = time.monotonic()
        lease, granted = await gateway.grant(ttl)
        return cls(gateway, lease, granted, sent, lost)

    @property
    def sure(self) -> bool:
        """Whether the lease is surely still held now."""
        return not self._over and time.monotonic() < self._until

    async def close(self) -> None:
        """Stop renewing; the lease runs out by itself."""
        self._over = True
        await end(self._task)

    async def revoke(self) -> None:
        """Stop renewing and end the lease now, with all its keys. Raises CoordinatorUnavailable."""
        await self.close()
        await self._gateway.revoke(self.id)

    async def _keep(self) -> None:
        pause = self.ttl / 3
        while True:
            left = self._until - time.monotonic()
            if left <= 0:
                break
            await asyncio.sleep(min(pause, left))
            sent = time.monotonic()
            try:
                async with asyncio.timeout(max(0.01, self._until - sent)):
                    ttl = await self._gateway.keep_alive(self.id)
            except (CoordinatorUnavailable, TimeoutError):
                pause = min(0.2, self.ttl / 10)
                continue
            if ttl <= 0:
                break
            self._until = sent + ttl * (1 - _MARGIN)
            pause = self.ttl / 3
        self._over = True
        self._lost()
