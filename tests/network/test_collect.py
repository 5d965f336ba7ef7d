"""Storage garbage collection on a real Redis and etcd: what leaves, what stays, and who may."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from cluster.collect.collector import Collector
from cluster.collect.events import BindingExpired, CollectorElected
from cluster.collect.settings import StorageSettings
from cluster.collect.sweep import Outdone, Sweep
from cluster.events import Event
from cluster.membership import Members
from cluster.messages.events import MessageExpired
from cluster.messages.pending import Pending, Seeker, Stored
from cluster.messages.service import Messages
from cluster.messages.settings import MessagesSettings
from cluster.settings import EtcdSettings, RedisSettings
from tests.network.cluster_rig import MINUTE, Rig, device, rig, unique_aor, until
from tests.stores import EtcdServer, RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def node(redis: RedisServer) -> AsyncIterator[Rig]:
    redis.call("FLUSHALL")
    async with rig(redis.url, keep=3600.0) as made:
        yield made


@pytest.fixture
async def messages(node: Rig, redis: RedisServer) -> AsyncIterator[Messages]:
    made = Messages(MessagesSettings(), RedisSettings(url=redis.url), node.service)
    await made.start()
    yield made
    await made.close()


class Heard:
    """One sweep and what it told."""

    def __init__(
        self,
        node: Rig,
        messages: Messages | None = None,
        *,
        fence: int = 5,
        keep: bool = True,
        step: int = 100,
    ) -> None:
        self.events: list[Event] = []
        self.waiting: list[str] = []
        self.looks = 10_000  # how often it may ask whether it is sure
        self.sweep = Sweep(
            node.service,
            messages,
            "clarion",
            fence,
            step,
            keep,
            self._sure,
            self.events.append,
            self.waiting.append,
        )

    def _sure(self) -> bool:
        self.looks -= 1
        return self.looks >= 0


def place(aor: str) -> str:
    return f"clarion:aor:{{{aor}}}"


async def has_expired(node: Rig, aor: str, key: str) -> None:
    """Wait until a binding that is about to expire has."""
    while any(binding.key == key for binding in (await node.service.fetch(aor)).bindings):
        await asyncio.sleep(0.001)


async def stored(messages: Messages, aor: str, identity: str, owed: tuple[str, ...], ttl: int) -> None:
    now = messages.now_ms()
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    pending = Pending(
        identity, aor, 2, now, now + ttl, b"MESSAGE sip:x SIP/2.0\r\n\r\n", "call", "sip:alice@h"
    )
    messages.store(pending, owed, (), answer.set_result)
    told = await answer
    assert isinstance(told, Stored)
    assert not told.refused


async def test_expired_bindings_leave_with_an_event_and_the_others_stay(
    node: Rig, redis: RedisServer
) -> None:
    both, gone = unique_aor(), unique_aor()
    await node.put(both, device("old", user_agent="Linphone"), ttl=1)
    await node.put(both, device("phone"))
    await node.put(gone, device("only"), ttl=1)
    await has_expired(node, both, "<old>")
    await has_expired(node, gone, "<only>")
    heard = Heard(node)
    assert await heard.sweep.run()
    told = {
        (event.aor, event.device, event.user_agent) for event in heard.events if type(event) is BindingExpired
    }
    assert told == {(both, "<old>", "Linphone"), (gone, "<only>", "")}
    assert redis.call("HKEYS", place(both)) == ["<phone>"]
    assert redis.call("HKEYS", place(gone)) == [":seen"]
    assert redis.call("PTTL", place(gone)) > 30 * MINUTE
    assert heard.sweep.tally.bindings == 2
    again = Heard(node)
    assert await again.sweep.run()
    assert again.events == []


async def test_a_user_without_bindings_is_forgotten_where_nobody_is_to_be_known(
    node: Rig, redis: RedisServer
) -> None:
    aor = unique_aor()
    await node.put(aor, device("only"), ttl=1)
    await has_expired(node, aor, "<only>")
    assert await Heard(node, keep=False).sweep.run()
    assert redis.call("EXISTS", place(aor)) == 0


async def test_what_a_later_version_wrote_stays(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    redis.call("HSET", place(aor), "<new>", "9\n1\n99999999999999\n1\n1\ncall\n\nnews")
    await node.put(aor, device("only"), ttl=1)
    await has_expired(node, aor, "<only>")
    assert await Heard(node).sweep.run()
    assert redis.call("HKEYS", place(aor)) == ["<new>"]


async def test_a_collector_that_was_followed_by_another_removes_nothing(
    node: Rig, redis: RedisServer
) -> None:
    aor = unique_aor()
    await node.put(aor, device("only"), ttl=1)
    await has_expired(node, aor, "<only>")
    redis.call("SET", "clarion:collect:fence", "6")
    heard = Heard(node, fence=5)
    with pytest.raises(Outdone) as outdone:
        await heard.sweep.run()
    assert outdone.value.fence == 6
    assert redis.call("HKEYS", place(aor)) == ["<only>"]
    assert heard.events == []
    assert await Heard(node, fence=7).sweep.run()
    assert redis.call("GET", "clarion:collect:fence") == "7"
    assert redis.call("HKEYS", place(aor)) == [":seen"]


async def test_it_stops_between_two_steps_when_its_lease_may_have_ended(
    node: Rig, redis: RedisServer
) -> None:
    aors = [unique_aor() for _ in range(60)]
    for aor in aors:
        await node.put(aor, device("only"), ttl=1)
    for aor in aors:
        await has_expired(node, aor, "<only>")
    heard = Heard(node, step=10)
    heard.looks = 2
    assert not await heard.sweep.run()
    assert 0 < len(heard.events) < 60
    whole = Heard(node, step=10)
    assert await whole.sweep.run()  # who comes next finds the rest
    assert len(heard.events) + len(whole.events) == 60


async def test_expired_messages_leave_with_an_event_that_names_sender_and_recipient(
    node: Rig, messages: Messages, redis: RedisServer
) -> None:
    aor = unique_aor()
    await node.put(aor, device("phone"))
    await stored(messages, aor, "short", ("<phone>", "<tablet>"), 1)
    await stored(messages, aor, "long", ("<phone>",), MINUTE)
    now = messages.now_ms()
    while messages.now_ms() < now + 5:
        await asyncio.sleep(0.001)
    heard = Heard(node, messages)
    assert await heard.sweep.run()
    expired = [event for event in heard.events if isinstance(event, MessageExpired)]
    assert [(one.id, one.aor, one.sender, one.devices) for one in expired] == [
        ("short", aor, "sip:alice@h", ("<phone>", "<tablet>"))
    ]
    assert heard.sweep.tally.pending == 1
    assert heard.waiting == [aor]  # a phone is registered, and nobody delivers the other one


async def test_nobody_is_sent_for_what_is_being_delivered_or_cannot_be(node: Rig, messages: Messages) -> None:
    claimed, absent = unique_aor(), unique_aor()
    await node.put(claimed, device("phone"))
    await stored(messages, claimed, "one", ("<phone>",), MINUTE)
    await stored(messages, absent, "two", ("<phone>",), MINUTE)
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    messages.claim(claimed, [Seeker("<phone>")], 1, answer.set_result)
    await answer
    heard = Heard(node, messages)
    assert await heard.sweep.run()
    assert heard.waiting == []
    assert heard.sweep.tally.pending == 2


@contextlib.asynccontextmanager
async def collector(
    redis: RedisServer, etcd: EtcdServer, name: str, events: list[tuple[str, Event]]
) -> AsyncIterator[Collector]:
    """One node's collector, which sweeps each second."""
    async with rig(redis.url, keep=3600.0) as node:
        members = Members(EtcdSettings(endpoints=(etcd.endpoint,)))
        made = Collector(
            StorageSettings(sweep=1.0, lease_ttl=1),
            RedisSettings(url=redis.url),
            node.service,
            members,
            None,
            lambda event: events.append((name, event)),
            name,
            keep=True,
        )
        await made.start()
        try:
            yield made
        finally:
            await made.close()
            await members.leave()


async def test_one_collects_and_when_it_leaves_another_does(node: Rig, redis: RedisServer) -> None:
    events: list[tuple[str, Event]] = []
    first, second = unique_aor(), unique_aor()
    with EtcdServer() as etcd:
        async with collector(redis, etcd, "a", events) as a, collector(redis, etcd, "b", events) as b:
            await until(lambda: a.status()["leader"] and a.status()["leader"] == b.status()["leader"])
            leader, other = (a, b) if a.status()["leader"] == "a" else (b, a)
            await node.put(first, device("only"), ttl=1)
            await until(lambda: len(told(events)) == 1)
            await until(lambda: leader.status()["last"] is not None)
            assert other.status()["last"] is None
            await leader.close()
            await until(lambda: other.status()["leader"] in ("a", "b") and other.status()["last"] is not None)
            await node.put(second, device("only"), ttl=1)
            await until(lambda: len(told(events)) == 2)
    elected = [(name, event.fence) for name, event in events if isinstance(event, CollectorElected)]
    assert len(elected) == 2
    assert elected[0][0] != elected[1][0]
    assert elected[0][1] < elected[1][1]
    assert [aor for _, aor in told(events)] == [first, second]


def told(events: list[tuple[str, Event]]) -> list[tuple[str, str]]:
    return [(name, event.aor) for name, event in events if isinstance(event, BindingExpired)]
