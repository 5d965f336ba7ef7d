"""One run from the first phone to the judgement."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.failover.chaos.chronicle import Chronicle
from tests.failover.chaos.faults import Faults
from tests.failover.chaos.ledger import Verdict, judge
from tests.failover.chaos.phones import Device, make_devices
from tests.failover.chaos.plan import Plan
from tests.failover.chaos.senders import Senders
from tests.failover.chaos.world import World

_FIRST = 30.0  # s for all phones to register
_AFTERMATH = 1.5  # s after the end in which a copy too many would still come
_LATE = 0.25  # share of the second devices that are switched on in the middle

log = logging.getLogger("chaos")


@dataclass(slots=True)
class Result:
    """What a run left. `ghosts` are what the stores still hold."""

    plan: Plan
    chronicle: Chronicle
    verdict: Verdict
    ghosts: list[str] = field(default_factory=list)
    started: float = 0.0
    seconds: float = 0.0
    logs: dict[str, str] = field(default_factory=dict)  # of the nodes

    @property
    def good(self) -> bool:
        return not self.verdict.violations and not self.ghosts


async def run(plan: Plan) -> Result:
    """Never raises for what the nodes did wrong: that is in the result."""
    notes, started = Chronicle(), time.monotonic()
    async with _world() as world:
        devices = make_devices(world, notes, plan)
        faults, senders = Faults(world, notes, plan), Senders(world, notes, plan)
        seconds = faults.seconds() if plan.faults else plan.quiet_seconds
        async with _living(devices, plan, seconds):
            async with asyncio.TaskGroup() as group:
                group.create_task(faults.run())
                group.create_task(senders.run(seconds))
            log.info("calm")
            for device in devices:
                device.calm.set()
            ghosts = await _settle(world, devices, plan)
            await asyncio.sleep(_AFTERMATH)
        _events(world, notes)
        logs = {name: place.node.program.text for name, place in world.places.items()}
    return Result(plan, notes, judge(notes, plan.strict), ghosts, started, time.monotonic() - started, logs)


@contextlib.asynccontextmanager
async def _world() -> AsyncIterator[World]:
    """Where somebody took a port before our server could, all is begun anew."""
    async with contextlib.AsyncExitStack() as stack:
        for turn in range(3):
            try:
                world = await stack.enter_async_context(World())
                break
            except Exception:
                if turn == 2:
                    raise
        yield world


@contextlib.asynccontextmanager
async def _living(devices: list[Device], plan: Plan, seconds: float) -> AsyncIterator[None]:
    """All phones live; inside, those that are there from the start have registered."""
    draw = random.Random(f"{plan.seed} births")
    tasks, early = [], []
    for device in devices:
        late = plan.restless and device.name.endswith("/1") and draw.random() < _LATE
        tasks.append(asyncio.create_task(device.live(draw.uniform(0.2, 0.8) * seconds if late else 0.0)))
        if not late:
            early.append(device)
    try:
        async with asyncio.timeout(_FIRST):
            for device in early:
                await device.registered.wait()
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _settle(world: World, devices: list[Device], plan: Plan) -> list[str]:
    """Waits until nothing is stored any more; what remains at the deadline."""
    deadline = time.monotonic() + plan.settle_seconds
    while True:
        ghosts = await asyncio.to_thread(_ghosts, world)
        if (not ghosts and all(device.registered.is_set() for device in devices)) or (
            time.monotonic() > deadline
        ):
            return ghosts
        await asyncio.sleep(0.25)


def _ghosts(world: World) -> list[str]:
    shared = world.shared
    found = [f"{key}: {shared.dump(key)}" for key in shared.message_keys()]
    found += [f"{key} is marked as owed something" for key in shared.markers()]
    if total := shared.total():
        found.append(f"{total} messages are counted")
    return found


def _events(world: World, notes: Chronicle) -> None:
    """Takes what the nodes told into the chronicle."""
    for line, event in world.read_events():
        call_id = str(event.get("call_id", ""))
        if call_id:
            notes.events.setdefault(call_id, []).append(line)
        if event.get("event") == "MessageNotKept":
            notes.not_kept.add(call_id)
        if event.get("event") == "MessageExpired":
            devices = event.get("devices")
            notes.expired[call_id] = tuple(devices) if isinstance(devices, list) else ()
