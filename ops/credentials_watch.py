"""Looks once a day, and after a reload, whether keys and certificates of push services end soon."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from cluster.push.events import CredentialsExpire
from cluster.push.providers.provider import Warned

DAY = 86_400.0


class Credentials(Protocol):
    """Whose files are looked at."""

    def warnings(self, now: float) -> Sequence[Warned]: ...


class CredentialsWatch:
    """Tells each warning as an event: at start, daily, and when `again` is called."""

    def __init__(self, credentials: Credentials, emit: Callable[[CredentialsExpire], None]) -> None:
        self._credentials = credentials
        self._emit = emit
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Looks for the first time, at once."""
        self._task = asyncio.create_task(self._run())

    def again(self) -> None:
        """Looks now: the files may have changed."""
        self._again.set()

    async def stop(self) -> None:
        """Looks no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            self._again.clear()
            for warned in self._credentials.warnings(time.time()):
                self._emit(CredentialsExpire(warned.option, warned.text))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._again.wait(), DAY)
