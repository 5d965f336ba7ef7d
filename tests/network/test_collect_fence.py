"""Collectors that must not act any more, and one that has trouble: on a real Redis and etcd."""

from collections.abc import AsyncIterator, Iterator

import pytest

from cluster.collect.collector import Collector
from cluster.collect.events import BindingExpired, CollectorElected, SweepFailed
from cluster.collect.fence import Fence
from cluster.collect.settings import StorageSettings
from cluster.collect.sweep import Outdone, Sweep
from cluster.events import Event
from cluster.membership import Members
from cluster.messages.pending import Swept
from cluster.messages.service import Messages
from cluster.messages.settings import MessagesSettings
from cluster.settings import EtcdSettings, RedisSettings
from tests.network.cluster_rig import Rig, device, rig, unique_aor, until
from tests.network.test_collect import collector, has_expired, stored
from tests.stores import EtcdServer, RedisServer

FENCE = "clarion:collect:fence"


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def node(redis: RedisServer) -> AsyncIterator[Rig]:
    async with rig(redis.url, keep=3600.0) as made:
        yield made


def sweep(node: Rig, messages: Messages, events: list[Event], fence: int) -> Sweep:
    options = node.service._options
    return Sweep(
        node.service, messages, options, "clarion", fence, 100, True, lambda: True, events.append, print
    )


async def test_who_was_followed_by_another_takes_no_message_out(node: Rig, redis: RedisServer) -> None:
    messages = Messages(MessagesSettings(), RedisSettings(url=redis.url), node.service)
    events: list[Event] = []
    await stored(messages, "user@example.org", "one", ("<phone>",), 1)
    end = node.service.now_ms() + 5
    await until(lambda: node.service.now_ms() > end)
    redis.call("SET", FENCE, "6")
    with pytest.raises(Outdone):
        await sweep(node, messages, events, 5).run()
    assert redis.call("ZRANGE", "clarion:messages:{user@example.org}:order", 0, -1) == ["one"]
    assert events == []
    assert await sweep(node, messages, events, 7).run()
    assert redis.call("EXISTS", "clarion:messages:{user@example.org}:order") == 0
    assert len(events) == 1
    await messages.close()


async def test_a_leader_goes_on_from_a_greater_fence_when_etcd_was_set_back(
    node: Rig, redis: RedisServer
) -> None:
    """etcd came back without its past, so that its revisions are less than what Redis has seen."""
    events: list[tuple[str, Event]] = []
    redis.call("SET", FENCE, "1000000")
    aor = unique_aor()
    await node.put(aor, device("only"), ttl=1)
    await has_expired(node, aor, "<only>")
    with EtcdServer() as etcd:
        async with collector(redis, etcd, "a", events):
            await until(lambda: any(isinstance(event, BindingExpired) for _, event in events))
    fences = [event.fence for _, event in events if isinstance(event, CollectorElected)]
    assert fences[0] < 1_000_000 < fences[-1]
    assert int(redis.call("GET", FENCE)) == fences[-1]


class Spoilt:
    """A store of messages with a fault that nobody thought of."""

    def __init__(self) -> None:
        self.spoilt = True
        self.asked = 0

    async def sweep(self, aor: str, fence: Fence, count: int) -> Swept | None:
        self.asked += 1
        if self.spoilt:
            raise ValueError("nobody thought of this")
        return Swept()

    def correct(self, counted: int) -> None:
        """Is not reached while it is spoilt."""
        assert not self.spoilt


async def test_a_fault_is_told_once_and_the_collector_tries_again(node: Rig, redis: RedisServer) -> None:
    events: list[Event] = []
    queues = Spoilt()
    redis.call("ZADD", "clarion:messages:{user@example.org}:order", 1, "one")
    with EtcdServer() as etcd:
        members = Members(EtcdSettings(endpoints=(etcd.endpoint,)))
        made = Collector(
            StorageSettings(sweep=1.0, lease_ttl=1), RedisSettings(url=redis.url), node.service, members,
            queues, events.append, "a",
        )  # fmt: skip
        await made.start()
        try:
            await until(lambda: queues.asked == 2)
            await until(lambda: made.status()["trouble"] == "ValueError: nobody thought of this")
            assert made.status()["last"] is None
            queues.spoilt = False
            await until(lambda: made.status()["last"] is not None)
            assert made.status()["trouble"] == ""
            assert made.status()["leader"] == "a"
        finally:
            await made.close()
            await members.leave()
    assert [event for event in events if isinstance(event, SweepFailed)] == [
        SweepFailed("ValueError: nobody thought of this")
    ]
