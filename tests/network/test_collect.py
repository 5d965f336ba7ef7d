"""Storage garbage collection on a real Redis and etcd: what leaves, what stays, and who may."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from cluster.collect.collector import Collector
from cluster.collect.events import BindingExpired, CollectorElected
from cluster.collect.settings import StorageSettings
from cluster.collect.sweep import Outdone, Sweep
from cluster.errors import StoreUnavailable
from cluster.events import Event
from cluster.location.binding import Binding
from cluster.membership import Members
from cluster.messages.events import MessageExpired
from cluster.messages.pending import Pending, Seeker, Stored
from cluster.messages.service import Messages
from cluster.messages.settings import MessagesSettings
from cluster.settings import EtcdSettings, RedisSettings
from tests.network.cluster_rig import MINUTE, Rig, device, rig, unique_aor, until
from tests.stores import EtcdServer, RedisServer, redis_cluster, running


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
            node.service._options,
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


def phone(name: str = "phone") -> Binding:
    """A device that is known again."""
    return device(name, instance=f"<{name}>")


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
    await node.put(aor, phone())
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
    claimed, absent, other = unique_aor(), unique_aor(), unique_aor()
    await node.put(claimed, phone())
    await node.put(other, device("unnamed"))
    await stored(messages, other, "three", ("<phone>",), MINUTE)
    await stored(messages, claimed, "one", ("<phone>",), MINUTE)
    await stored(messages, absent, "two", ("<phone>",), MINUTE)
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    messages.claim(claimed, [Seeker("<phone>")], 1, answer.set_result)
    await answer
    heard = Heard(node, messages)
    assert await heard.sweep.run()
    assert heard.waiting == []
    assert heard.sweep.tally.pending == 3


async def test_a_device_that_the_queue_does_not_know_yet_is_delivered_to(
    node: Rig, messages: Messages
) -> None:
    new, anybody = unique_aor(), unique_aor()
    await stored(messages, new, "one", ("<phone>",), MINUTE)
    await stored(messages, anybody, "two", ("*",), MINUTE)
    await node.put(new, phone("tablet"))
    await node.put(anybody, device("unnamed"))
    heard = Heard(node, messages)
    assert await heard.sweep.run()
    assert sorted(heard.waiting) == sorted([new, anybody])


async def test_each_message_is_counted_once_whatever_scan_brings_when(
    node: Rig, messages: Messages, redis: RedisServer
) -> None:
    for number in range(100):
        await stored(messages, unique_aor(), f"m{number}", ("<phone>",), MINUTE)
    heard = Heard(node, messages, step=10)
    assert await heard.sweep.run()
    assert heard.sweep.tally.pending == 100
    await until(lambda: redis.call("GET", "clarion:messages:total") == "100")


async def test_half_a_queue_leaves(node: Rig, messages: Messages, redis: RedisServer) -> None:
    for aor in ("hash@example.org", "order@example.org"):
        await stored(messages, aor, "one", ("<phone>",), MINUTE)
        await node.put(aor, phone())
    redis.call("DEL", "clarion:messages:{hash@example.org}:order")
    redis.call("DEL", "clarion:messages:{order@example.org}")
    heard = Heard(node, messages)
    assert await heard.sweep.run()
    assert redis.call("KEYS", "clarion:messages:{*") == []
    assert redis.call("HKEYS", place("hash@example.org")) == ["<phone>"]  # and no marker
    assert heard.sweep.tally.pending == 0
    assert heard.waiting == []


async def test_a_key_that_holds_something_else_is_passed_over(
    node: Rig, messages: Messages, redis: RedisServer
) -> None:
    aor = unique_aor()
    for spoilt in ("clarion:aor:{spoilt@h}", "clarion:messages:{spoilt@h}:order"):
        redis.call("SET", spoilt, "x")
    await node.put(aor, device("only"), ttl=1)
    await has_expired(node, aor, "<only>")
    heard = Heard(node, messages)
    assert await heard.sweep.run()
    assert heard.sweep.tally.bindings == 1
    assert heard.sweep.tally.refused == 2
    assert "spoilt@h" in heard.sweep.tally.refusal
    assert "WRONGTYPE" in heard.sweep.tally.refusal


async def test_the_cache_of_the_node_that_collects_stays_honest(node: Rig, redis: RedisServer) -> None:
    """Redis forgets whom to tell about a key that has changed, and does not tell who changed it."""
    aor = unique_aor()
    async with rig(redis.url, keep=3600.0) as other:
        await other.put(aor, device("old"), ttl=1)
        await other.put(aor, device("phone"))
        await has_expired(node, aor, "<old>")
        assert len((await node.service.lookup(aor)).bindings) == 1
        assert await Heard(node).sweep.run()
        await other.put(aor, device("tablet"))
        await until(lambda: node.service.cached(aor) is None)
        assert len((await node.service.lookup(aor)).bindings) == 2


async def test_redis_does_not_note_what_is_looked_at(node: Rig, redis: RedisServer) -> None:
    async with rig(redis.url) as other:
        for _ in range(20):
            await other.put(unique_aor(), device("phone"))
        before = noted(redis)
        assert await Heard(node).sweep.run()
        assert noted(redis) == before


def noted(redis: RedisServer) -> str:
    """How many keys Redis remembers to tell how many connections about."""
    return next(line for line in redis.call("INFO", "stats").splitlines() if "tracking_total_items" in line)


async def test_in_a_cluster_all_masters_are_swept_and_the_fence_is_looked_at() -> None:
    servers = redis_cluster(3)
    with running(*servers):
        url = "cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
        async with rig(url, keep=3600.0) as node:
            aors = [unique_aor() for _ in range(30)]
            for aor in aors:
                await node.put(aor, device("only"), ttl=1)
            for aor in aors:
                await has_expired(node, aor, "<only>")
            key = b"clarion:collect:fence"
            await node.service.store.call(key, "SET", key, 9)
            with pytest.raises(Outdone):
                await Heard(node, fence=8).sweep.run()
            heard = Heard(node, fence=10)
            assert await heard.sweep.run()
            expired = [event.aor for event in heard.events if isinstance(event, BindingExpired)]
            assert sorted(expired) == sorted(aors)
            assert await node.service.store.call(key, "GET", key) == b"10"


async def test_a_sweep_ends_when_redis_is_lost_and_the_next_finds_the_rest() -> None:
    with RedisServer(persistent=True) as server:
        async with rig(server.url, keep=3600.0) as node:
            for _ in range(50):
                await node.put(unique_aor(), device("only"), ttl=1)
            heard, emit = Heard(node, step=10), list[Event]()

            def told(event: Event) -> None:
                emit.append(event)
                if len(emit) == 1:
                    server.kill()

            heard.sweep._emit = told
            with pytest.raises(StoreUnavailable):
                await heard.sweep.run()
            assert 0 < len(emit) < 50
            server.start()
            await until(lambda: node.service.connected)
            whole = Heard(node)
            assert await whole.sweep.run()
            assert len(whole.events) >= 50 - len(emit)
            left = [server.call("HKEYS", key) for key in server.call("KEYS", "clarion:aor:*")]
            assert left == [[":seen"]] * 50


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
