"""THE list of stages: the way of a new request through a node. Read this first.

Retransmissions, ACKs of failed INVITEs, CANCELs and all responses end in
`node.transaction` and `node.fork` and never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from node.registrar.registrar import Registrar
from node.request import Request
from node.stages import TAKEN, Stage, Verdict
from node.stages.admission import Admission
from node.stages.breadth import Breadth
from node.stages.capabilities import Capabilities
from node.stages.forward import Forward
from node.stages.location import Location
from node.stages.loose_route import LooseRoute
from node.stages.sanity import Sanity
from node.stages.store import Store
from node.stages.trying import Trying
from node.stages.wake import Wake

METHODS = (
    "INVITE", "ACK", "BYE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH", "REFER",
    "INFO", "UPDATE", "PRACK",
)  # fmt: skip


def stage_list(
    sanity: Sanity,
    admission: Admission,
    loose_route: LooseRoute,
    capabilities: Capabilities,
    registrar: Registrar,
    location: Location,
    breadth: Breadth,
    store: Store,
    wake: Wake,
    forward: Forward,
) -> tuple[Stage, ...]:
    """The order in which a request passes the stages."""
    return (
        sanity,  # 400, 416, 483, 482, 420
        admission,  # 503 while the node drains
        loose_route,  # takes our own Route values off, reads the flow token
        capabilities,  # answers OPTIONS to the node itself
        Trying(),  # 100 to an INVITE
        registrar,  # takes REGISTER
        location,  # address of record or GRUU -> target set
        breadth,  # 440
        store,  # takes each MESSAGE that is kept until it is delivered
        wake,  # which phones have to be woken, and waited for
        forward,  # opens the branches
    )


class Route:
    """Leads requests along the stages; waits in a Task only where a stage must wait."""

    def __init__(
        self,
        stages: tuple[Stage, ...],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        clock: Callable[[], float],
    ) -> None:
        self._ways = {method: _way(stages, method) for method in METHODS}
        self._other = _way(stages, "")
        self._spawn = spawn
        self._clock = clock

    def run(self, request: Request, start: int = 0) -> None:
        """Passes the request on from stage number `start` of its method's way."""
        way = self._ways.get(request.method, self._other)
        for index in range(start, len(way)):
            verdict = way[index](request)
            if verdict is None:
                continue
            if verdict is not TAKEN:
                self._spawn(self._resume(request, index, verdict))
            return

    async def _resume(self, request: Request, index: int, waiting: Any) -> None:
        verdict: Verdict = await waiting
        request.now = self._clock()
        if verdict is None:
            self.run(request, index + 1)


def _way(stages: tuple[Stage, ...], method: str) -> tuple[Stage, ...]:
    """The stages that concern a method; "" for one that we do not know."""

    def concerned(stage: Stage) -> bool:
        concerns: Callable[[str], bool] | None = getattr(stage, "concerns", None)
        return concerns is None or concerns(method)

    return tuple(filter(concerned, stages))
