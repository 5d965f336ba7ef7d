"""Something done at start, again after a while, and at once when asked for."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from cluster.ending import end


class Rounds:
    """`work()` says in how many seconds it is to be called again. It must not raise."""

    def __init__(self, work: Callable[[], Awaitable[float]]) -> None:
        self._work = work
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins, soon."""
        self._task = asyncio.create_task(self._run())

    def again(self) -> None:
        """Does it now."""
        self._again.set()

    async def stop(self) -> None:
        """Does it no more."""
        await end(self._task)

    async def _run(self) -> None:
        while True:
            self._again.clear()
            wait = await self._work()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._again.wait(), wait)
