"""What the tests of the shared state have in common."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from cluster.events import Event
from cluster.location.binding import Binding
from cluster.location.record import Change, Outcome
from cluster.location.service import LocationService
from cluster.settings import RedisSettings

MINUTE = 60_000
_numbers = iter(range(1, 1 << 30))


async def until(condition: Callable[[], Any], limit: float = 20.0) -> None:
    """Wait until something holds that other processes bring about."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        await asyncio.sleep(0.005)


def device(name: str = "phone", **fields: Any) -> Binding:
    """A binding whose key is `<name>`."""
    fields = {"key": f"<{name}>", "uri": f"sip:{name}@127.0.0.1:5062"} | fields
    return msgspec.convert(fields, Binding)


def unique_aor() -> str:
    return f"user{next(_numbers)}@example.org"


class Rig:
    """One node's location service with what it told, and REGISTERs in few words."""

    def __init__(self, url: str, keep: float = 0.0, **settings: Any) -> None:
        self.events: list[Event] = []
        self.service = LocationService(RedisSettings(url=url, **settings), self.events.append, keep=keep)

    async def put(
        self,
        aor: str,
        *bindings: Binding,
        cseq: int = 1,
        call_id: str = "call",
        ttl: int = MINUTE,
        message_ttl: int = 0,
        max_contacts: int = 12,
        wildcard: bool = False,
    ) -> Outcome:
        return await self.service.register(
            aor,
            [Change(binding, ttl, message_ttl) for binding in bindings],
            max_contacts=max_contacts,
            call_id=call_id,
            cseq=cseq,
            wildcard=wildcard,
        )

    async def keys(self, aor: str) -> list[str]:
        return [binding.key for binding in (await self.service.fetch(aor)).bindings]


@contextlib.asynccontextmanager
async def rig(url: str, **settings: Any) -> AsyncIterator[Rig]:
    """A connected service, closed at the end."""
    made = Rig(url, **settings)
    await made.service.start()
    try:
        yield made
    finally:
        await made.service.close()
