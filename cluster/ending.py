"""How a background task is ended."""

from __future__ import annotations

import asyncio

_PATIENCE = 0.5  # s until it is told again


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancels a task and waits until it has ended; None is ended already. What it raises is its own affair.

    A task can miss a cancellation that comes in the very moment in which something it waits for is done
    (asyncio.wait_for of Python 3.11, libraries that turn it into an error of their own): it is told again.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=_PATIENCE)
    if task is not None and not task.cancelled():
        task.exception()
