"""What all held requests of a node share, and the look-ups that they wait for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.location.binding import Binding
from cluster.location.service import LocationService
from node.fork.response_context import ResponseContext
from node.fork.target import Target
from node.settings import WakingSettings
from node.transaction.timers import Timers
from node.waking.held import Held
from node.waking.journal import Journal
from node.waking.pushes import Pushes
from node.waking.wait import Wait


class Waker:
    """Holds requests for phones that have to be woken."""

    def __init__(
        self,
        locations: LocationService,
        pushes: Pushes,
        timers: Timers,
        settings: WakingSettings,
        call_ttl: float,
        target: Callable[[Binding], Target],
        clock: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        """`call_ttl`: seconds that a call waits. `target(binding)` says how a binding is reached."""
        self.locations = locations
        self.pushes = pushes
        self.timers = timers
        self.settings = settings
        self.target = target
        self.clock = clock
        self.journal = Journal()
        self._call_ttl = call_ttl
        self._spawn = spawn
        self._reading: set[Held] = set()

    def hold(self, context: ResponseContext, wait: Wait, now: float) -> Held:
        """The wait of one request; it ends by itself."""
        ttl = self._call_ttl if context.invite else self.settings.request_timeout
        return Held(self, context, wait, ttl, now)

    def look(self, held: Held) -> None:
        """Shows a held request what is registered now: from the cache, where it is known to be true."""
        record = self.locations.cached(held.aor)
        if record is not None:
            held.seen(record, self.clock())
        elif held not in self._reading:
            self._reading.add(held)
            self._spawn(self._read(held))

    async def _read(self, held: Held) -> None:
        try:
            record = await self.locations.fetch(held.aor)
        except StoreUnavailable:
            return  # it looks again by itself
        finally:
            self._reading.discard(held)
        held.seen(record, self.clock())
