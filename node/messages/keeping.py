"""Puts together what keeps and delivers messages on one node."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from cluster.events import silent
from node.messages.attempts import MOMENT, Attempts
from node.messages.drains import Drains
from node.messages.under_way import UnderWay
from node.messages.wake import WakeUps

if TYPE_CHECKING:
    from cluster.location.service import LocationService
    from node.messages.kept import Messages
    from node.resolve.locator import Locator
    from node.settings import NodeRoomSettings
    from node.stages.forward import Forward
    from node.stages.location import Location
    from node.transaction.timers import Timers
    from node.waking.pushes import Pushes


def keeping(
    messages: Messages,
    locations: LocationService,
    location: Location,
    forward: Forward,
    locator: Locator,
    push: Pushes | None,
    timers: Timers,
    clock: Callable[[], float],
    spawn: Callable[[Coroutine[Any, Any, None]], None],
    emit: Callable[[object], None] | None,
    settings: NodeRoomSettings,
) -> Attempts:
    """The attempts of a node, with its `drains`. `forward` is complete: it has its waker, if there is one."""
    under_way = UnderWay()
    drains = Drains(
        messages,
        locations,
        location.target,
        forward.gone,
        forward.ask,
        locator.failed,
        timers,
        clock,
        spawn,
        under_way,
        emit or silent,
        settings.messages,
    )
    wake_ups = None
    if push is not None and forward.waker is not None:
        wake_ups = WakeUps(push, forward.waker.journal, timers, settings.waking, MOMENT)
    return Attempts(
        messages,
        locations,
        drains,
        under_way,
        forward.ask,
        forward.alone,
        locator.failed,
        forward.gone,
        forward.open,
        timers,
        clock,
        wake_ups,
        settings.messages,
        settings.waking,
        settings.limits.retry_after,
        emit,
    )
