"""Keeps the file of static registrations alive: read at start, again after a while, and on SIGHUP."""

import asyncio
import contextlib
import logging

from cluster.errors import StoreUnavailable
from node.registrar.static import StaticFile

RETRY = 5.0  # seconds after a reading that failed

log = logging.getLogger("clarion.registrar")


class StaticRegistrations:
    """The task that reads `[registrar] static_file`."""

    def __init__(self, file: StaticFile, refresh: float) -> None:
        self._file = file
        self._refresh = refresh
        self._again = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Reads the file for the first time, soon."""
        self._task = asyncio.create_task(self._run())

    def reload(self) -> None:
        """Reads the file now."""
        self._again.set()

    async def stop(self) -> None:
        """Lets the bindings expire by themselves."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            wait = self._refresh if await self._load() else RETRY
            self._again.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._again.wait(), wait)

    async def _load(self) -> bool:
        try:
            count = await self._file.load()
        except (OSError, UnicodeDecodeError, StoreUnavailable) as error:
            log.error("[registrar] static_file: %s; what was read before stays for a while", error)
            return False
        for problem in self._file.problems:
            log.error("[registrar] static_file: %s", problem)
        log.info("%d static registrations", count)
        return True
