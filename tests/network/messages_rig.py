"""A store of messages whose methods are awaited, beside the location service of its node."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from cluster.errors import StoreUnavailable
from cluster.messages.pending import Claimed, Mark, Pending, Seeker, Stored
from cluster.messages.service import Messages
from cluster.messages.settings import MessagesSettings
from cluster.settings import RedisSettings
from tests.network.cluster_rig import Rig, rig

DAY = 86_400_000
_numbers = itertools.count(1)


class Desk:
    """One node: its messages, its locations, its events."""

    def __init__(self, node: Rig, messages: Messages) -> None:
        self.node = node
        self.messages = messages

    @property
    def events(self) -> list[Any]:
        return self.node.events

    async def ask(self, method: Callable[..., None], *arguments: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        method(*arguments, answer.set_result)
        return await asyncio.wait_for(answer, 15)

    def pending(self, aor: str, body: bytes = b"hello", *, ttl: int = DAY, **fields: Any) -> Pending:
        now = self.messages.now_ms()
        number = next(_numbers)
        made = {"id": f"id{number}", "aor": aor, "rank": 2, "stored_at": now, "expires_at": now + ttl}
        made |= {"request": body, "call_id": f"call{number}", "sender": "sip:a@b"} | fields
        return msgspec.convert(made, Pending)

    async def store(
        self, pending: Pending, owed: Sequence[str], closed: Sequence[str] = ()
    ) -> Stored | StoreUnavailable:
        return await self.ask(self.messages.store, pending, owed, closed)

    async def put(self, aor: str, *devices: str, closed: Sequence[str] = (), **fields: Any) -> Pending:
        """A message that is kept."""
        pending = self.pending(aor, **fields)
        stored = await self.store(pending, devices, closed)
        assert isinstance(stored, Stored) and not stored.refused, stored
        return pending

    async def claim(self, aor: str, *devices: str, count: int = 100, fence: int = 0) -> Claimed:
        """Names that begin with "?" are of devices that are not named."""
        seekers = [Seeker(device, not device.startswith("?")) for device in devices]
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.messages.claim(aor, seekers, count, answer.set_result, fence)
        claimed = await asyncio.wait_for(answer, 15)
        assert isinstance(claimed, Claimed), claimed
        return claimed

    async def extend(self, aor: str, fence: int) -> Any:
        return await self.ask(self.messages.extend, aor, fence)

    async def release(self, aor: str, fence: int) -> Any:
        return await self.ask(self.messages.release, aor, fence)

    async def confirm(self, aor: str, *marks: tuple[Pending | str, str, int]) -> Any:
        made = [Mark(p if isinstance(p, str) else p.id, device, status) for p, device, status in marks]
        return await self.ask(self.messages.confirm, aor, made)

    async def owed(self, aor: str) -> dict[str, bool]:
        """What the records of the location service say of the queue."""
        return dict((await self.node.service.fetch(aor)).messages)


def handed(claimed: Claimed) -> dict[str, list[bytes]]:
    """Which requests each device was given, in their order."""
    result: dict[str, list[bytes]] = {}
    for owed in claimed.owed:
        result.setdefault(owed.device, []).append(owed.pending.request)
    return result


@contextlib.asynccontextmanager
async def desk(
    url: str, name: str = "n1", redis: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Desk]:
    """A connected node, closed at the end. `settings`: of `[messages]`."""
    async with rig(url, **(redis or {})) as node:
        messages = Messages(
            MessagesSettings(**settings),
            RedisSettings(url=url, **(redis or {})),
            node.service,
            node.events.append,
            name,
        )
        await messages.start()
        try:
            yield Desk(node, messages)
        finally:
            await messages.close()
