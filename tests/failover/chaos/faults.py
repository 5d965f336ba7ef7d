"""What is done to nodes and stores, one after the other, in an order drawn from the seed."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator

from tests.failover.chaos.chronicle import Chronicle, Fault
from tests.failover.chaos.crossing import Crossing
from tests.failover.chaos.plan import Plan
from tests.failover.chaos.world import Place, World

SECONDS = {"kill": 3.0, "kill-collector": 3.0, "redis-restart": 3.0, "redis-failover": 5.0}  # about

log = logging.getLogger("chaos")


class Faults:
    """Strikes, waits until all is well again, and notes both."""

    def __init__(self, world: World, notes: Chronicle, plan: Plan) -> None:
        self._world = world
        self._notes = notes
        self._plan = plan
        self._draw = random.Random(f"{plan.seed} faults")

    def kinds(self) -> Iterator[str]:
        """Each of the plan's in every round."""
        draw = random.Random(f"{self._plan.seed} kinds")
        for _ in range(self._plan.rounds):
            yield from draw.sample(self._plan.faults, len(self._plan.faults))

    def seconds(self) -> float:
        """How long `run()` takes, about."""
        plan = self._plan
        return sum(SECONDS.get(kind, plan.fault_seconds) + plan.calm_seconds for kind in self.kinds())

    async def run(self) -> None:
        for kind in self.kinds():
            await asyncio.sleep(self._plan.calm_seconds)
            await self._strike(kind)

    async def _strike(self, kind: str) -> None:
        name = self._draw.choice(list(self._world.places))
        if kind == "kill-collector":
            name = await self._world.collector() or name
        place = self._world.places[name]
        fault = Fault(kind, "" if kind.startswith("redis") else name, time.monotonic())
        self._notes.faults.append(fault)
        log.info("%s %s", kind, fault.node)
        if kind in ("kill", "kill-collector"):
            await self._kill(place)
        elif kind == "stop":
            await self._stop(place)
        elif kind == "redis-restart":
            await asyncio.to_thread(self._world.shared.restart_master)
        elif kind == "redis-failover":
            await asyncio.to_thread(self._world.shared.fail_over)
        else:
            await self._cut(ways(place, kind))
        fault.end = time.monotonic()

    async def _kill(self, place: Place) -> None:
        await asyncio.to_thread(place.kill)
        await asyncio.sleep(self._draw.uniform(0.2, 1.5))
        await asyncio.to_thread(place.again)

    async def _stop(self, place: Place) -> None:
        place.freeze()
        try:
            await asyncio.sleep(self._plan.fault_seconds)
        finally:
            place.thaw()

    async def _cut(self, crossings: list[Crossing]) -> None:
        for one in crossings:
            one.cut()
        try:
            await asyncio.sleep(self._plan.fault_seconds)
        finally:
            for one in crossings:
                one.mend()


def ways(place: Place, kind: str) -> list[Crossing]:
    """What a cut of this kind cuts."""
    redis = place.to_redis if kind in ("cut-redis", "cut-both") else []
    return [*redis, *([place.etcd] if kind in ("cut-etcd", "cut-both") else [])]
