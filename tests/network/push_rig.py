"""For the tests of push dispatch: pushes, a sender that only records, a node with its push service."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from cluster.events import Event
from cluster.location.service import LocationService
from cluster.membership import Members
from cluster.push.partition import PARTITIONS, partition_of
from cluster.push.providers.provider import Answer
from cluster.push.push import Push
from cluster.push.service import PushService
from cluster.push.settings import ProviderSettings, PushSettings
from cluster.settings import EtcdSettings, RedisSettings

_numbers = itertools.count(1)
ACCEPTED = Answer("accepted", 200)
TOKENS: dict[int, str] = {}
for _n in itertools.count():
    TOKENS.setdefault(partition_of(f"token{_n}"), f"token{_n}")
    if len(TOKENS) == PARTITIONS:
        break


def push(**fields: Any) -> Push:
    """A call push that lives for a minute."""
    number, now = next(_numbers), int(time.time() * 1000)
    values: dict[str, Any] = {
        "id": f"push-{number}", "provider": "apns", "app": "org.example.app", "token": f"token{number}",
        "kind": "voip", "event": "call", "created_at": now, "expires_at": now + 60_000,
    }  # fmt: skip
    return msgspec.convert(values | fields, Push)


class Recorder:
    """A sender that answers at once (or when `go` is set), has `width` places in each lane, and keeps what it
    was given."""

    def __init__(self, width: int = 1000, answer: Answer = ACCEPTED) -> None:
        self.width = width
        self.answer = answer
        self.sent: list[str] = []
        self.under_way: dict[str, tuple[Push, Callable[[Push, Answer, int], None]]] = {}
        self.asks: Callable[[Push], Awaitable[bool]] | None = None
        self.holds: Callable[[Push], bool] = lambda _: False
        self.on_sent: Callable[[Push], None] = lambda _: None

    def room(self, push: Push) -> bool:
        return sum(p.app == push.app for p, _ in self.under_way.values()) < self.width

    def submit(
        self,
        push: Push,
        done: Callable[[Push, Answer, int], None],
        still_wanted: Callable[[Push], Awaitable[bool]] | None = None,
    ) -> bool:
        if not self.room(push):
            return False
        self.sent.append(push.id)
        self.on_sent(push)
        self.under_way[push.id] = (push, done)
        self.asks = still_wanted
        if not self.holds(push):
            asyncio.get_running_loop().call_soon(self.end, push.id)
        return True

    def end(self, identity: str, answer: Answer | None = None) -> None:
        """The provider answers."""
        found = self.under_way.pop(identity, None)
        if found is not None:
            found[1](found[0], answer or self.answer, 1)

    def lanes(self) -> list[dict[str, Any]]:
        return []

    async def close(self) -> None:
        self.under_way.clear()


class Shelf:
    """A catalogue without providers."""

    def reload(self) -> None:
        pass


class PushNode:
    """One node's push service with all that it needs, and what it told."""

    def __init__(self, name: str, redis: str, *endpoints: str, **settings: Any) -> None:
        self.events: list[Event] = []
        self.sender = Recorder()
        values = {"lease_ttl": 1, "takeover": 0.6} | settings
        self.redis = RedisSettings(url=redis, timeout=0.75)
        self.locations = LocationService(self.redis, self.events.append, name)
        self.members = Members(EtcdSettings(endpoints=endpoints, timeout=0.5), self.events.append)
        self.service = PushService(
            ProviderSettings(push=PushSettings(**values)),
            self.redis,
            self.locations,
            self.members,
            self.events.append,
            name,
            sender=self.sender,
            catalogue=Shelf(),  # type: ignore[arg-type]
        )

    async def start(self, ready: float = 0.0) -> None:
        await self.locations.start()
        await self.service.start()

    async def close(self) -> None:
        await self.service.close()
        await self.members.leave()
        await self.members.gateway.close()
        await self.locations.close()

    @property
    def owned(self) -> list[str]:
        """Partitions that this node says are its own."""
        name = self.service._name
        return [n for n, node in self.service.status()["dispatchers"].items() if node == name]

    @property
    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self.service.status()["counts"]
        return counts

    async def send(self, push: Push) -> str:
        """What `done` was told."""
        told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.service.send(push, told.set_result)
        assert not told.done()
        async with asyncio.timeout(10):
            return await told


@contextlib.asynccontextmanager
async def node(name: str, redis: str, *endpoints: str, **settings: Any) -> AsyncIterator[PushNode]:
    """A started one, closed at the end."""
    made = PushNode(name, redis, *endpoints, **settings)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
