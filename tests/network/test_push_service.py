"""Nodes that push, on real Redis and etcd: from `send` to the sender, with what goes wrong in between."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from cluster.location.record import Change
from cluster.push.events import PushAddressDead, PushFailed, PushSent
from cluster.push.partition import PARTITIONS, partition_of
from cluster.push.providers.provider import Answer
from tests.network.cluster_rig import device, rig, unique_aor, until
from tests.network.push_rig import TOKENS, PushNode, node, push
from tests.stores import EtcdServer, RedisServer


@pytest.fixture
def etcd() -> Iterator[EtcdServer]:
    with EtcdServer() as server:
        yield server


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def a(redis: RedisServer, etcd: EtcdServer) -> AsyncIterator[PushNode]:
    async with node("a", redis.url, etcd.endpoint) as made:
        await until(lambda: len(made.owned) == PARTITIONS)
        yield made


def left(redis: RedisServer) -> int:
    """Pushes that nobody has confirmed."""
    return sum(redis.call("XLEN", f"clarion:push:{{push:{n:02}}}") for n in range(PARTITIONS))


async def test_what_is_queued_anywhere_is_sent_once(
    a: PushNode, redis: RedisServer, etcd: EtcdServer
) -> None:
    async with node("b", redis.url, etcd.endpoint) as b:
        await until(lambda: len(a.owned) == len(b.owned) == PARTITIONS // 2)
        pushes = [push() for _ in range(400)]
        told = await asyncio.gather(*((a, b)[n % 2].send(one) for n, one in enumerate(pushes)))
        assert set(told) == {""}
        await until(lambda: not left(redis))
        assert sorted(a.sender.sent + b.sender.sent) == sorted(one.id for one in pushes)
        assert a.sender.sent
        assert b.sender.sent
        assert a.counts["sent"] + b.counts["sent"] == 400
        assert a.counts["queued"] == b.counts["queued"] == 200
        assert a.counts["seized"] + b.counts["seized"] + a.counts["repeated"] + b.counts["repeated"] == 0
        assert sum(isinstance(event, PushSent) for event in a.events + b.events) == 400


async def test_a_push_takes_milliseconds_to_its_dispatcher(
    a: PushNode, redis: RedisServer, etcd: EtcdServer
) -> None:
    async with node("b", redis.url, etcd.endpoint) as b:
        await until(lambda: len(b.owned) == PARTITIONS // 2)
        await asyncio.sleep(0.05)
        took: dict[str, list[float]] = {"here": [], "there": []}
        for n, token in TOKENS.items():
            one, begin = push(token=token), time.monotonic()
            a.service.send(one, lambda _: None)
            await until(lambda one=one: one.id in a.sender.sent + b.sender.sent)
            took["here" if f"{n:02}" in a.owned else "there"].append((time.monotonic() - begin) * 1000)
        print({where: f"{sorted(ms)[len(ms) // 2]:.1f} ms" for where, ms in took.items()})
        assert a.counts["seized"] == 0  # nothing had to wait for that


async def test_withdrawn_pushes_are_not_sent(a: PushNode, redis: RedisServer) -> None:
    a.sender.width = 1
    a.sender.holds = lambda _: True
    pushes = [push() for _ in range(3)]
    for one in pushes:
        assert await a.send(one) == ""
    await until(lambda: a.sender.sent)
    waiting = [one for one in pushes if one.id not in a.sender.sent]
    a.service.withdraw(waiting[0])
    await until(lambda: a.counts["withdrawn"] == 1)
    a.sender.holds = lambda _: False
    a.sender.end(a.sender.sent[0])
    await until(lambda: not left(redis))
    assert a.sender.sent[1:] == [waiting[1].id]


async def test_a_push_that_is_withdrawn_is_not_tried_again(a: PushNode) -> None:
    a.sender.holds = lambda _: True
    one = push()
    await a.send(one)
    await until(lambda: a.sender.sent)
    asks = a.sender.asks
    assert asks is not None
    assert await asks(one)
    a.service.withdraw(one)
    await until(lambda: a.counts["withdrawn"] == 1)
    assert not await asks(one)
    a.sender.end(one.id, Answer("expired", reason="withdrawn"))
    assert not [event for event in a.events if isinstance(event, PushFailed)]


async def test_a_full_queue_refuses(redis: RedisServer, etcd: EtcdServer) -> None:
    async with node("a", redis.url, etcd.endpoint, max_queue_size=10) as a:
        await until(lambda: len(a.owned) == PARTITIONS)
        a.sender.holds = lambda _: True
        told = [await a.send(push(token="same")) for _ in range(12)]
        assert told[:10] == [""] * 10
        assert all("[push] max_queue_size" in text for text in told[10:])
        assert a.counts["refused"] == 2


async def test_a_full_lane_does_not_hold_the_others(redis: RedisServer, etcd: EtcdServer) -> None:
    async with node("a", redis.url, etcd.endpoint, lane_size=5, lane_concurrency=5) as a:
        await until(lambda: len(a.owned) == PARTITIONS)
        a.sender.holds = lambda one: one.app == "blocked"
        slow = [push(app="blocked") for _ in range(60)]
        for one in slow:
            await a.send(one)
        fast = [push(app="free") for _ in range(60)]
        for one in fast:
            await a.send(one)
        await until(lambda: {one.id for one in fast} <= set(a.sender.sent))
        assert len(a.sender.under_way) == 5
        a.sender.holds = lambda _: False
        for identity in list(a.sender.under_way):
            a.sender.end(identity)
        await until(lambda: not left(redis))
        assert Counter(a.sender.sent) == Counter(one.id for one in slow + fast)


async def test_expired_pushes_are_dropped_and_told(a: PushNode, redis: RedisServer) -> None:
    one = push(expires_at=a.service.now_ms() - 1, aor=unique_aor(), device="<x>")
    await a.send(one)
    await until(lambda: [event for event in a.events if isinstance(event, PushFailed)])
    await until(lambda: not left(redis))
    assert a.sender.sent == []
    assert (await a.service.last(one.aor))["<x>"].outcome == "expired"


async def test_without_etcd_every_push_is_sent_in_time_and_once(
    a: PushNode, redis: RedisServer, etcd: EtcdServer
) -> None:
    async with node("b", redis.url, etcd.endpoint) as b:
        await until(lambda: len(a.owned) == len(b.owned) == PARTITIONS // 2)
        etcd.freeze()
        try:
            begun: dict[str, float] = {}
            took: dict[str, float] = {}

            def note(one: object) -> None:
                took[one.id] = time.monotonic() - begun[one.id]  # type: ignore[attr-defined]

            a.sender.on_sent = b.sender.on_sent = note
            for n in range(300):  # before, while and after the terms end
                one = push()
                begun[one.id] = time.monotonic()
                assert await (a, b)[n % 2].send(one) == ""
                await asyncio.sleep(0.008)
            await until(lambda: len(took) == 300 and not left(redis))
        finally:
            etcd.thaw()
        print(f"slowest {max(took.values()):.2f} s of {0.6} + 0.5 s")
        sent = Counter(a.sender.sent + b.sender.sent)
        assert set(sent.values()) == {1}
        assert a.counts["seized"] + b.counts["seized"] > 100
        assert a.counts["repeated"] + b.counts["repeated"] == 0
        await until(lambda: len(a.owned) + len(b.owned) == PARTITIONS)  # all recovers by itself


async def test_what_a_dead_node_left_is_found_by_the_others(redis: RedisServer, etcd: EtcdServer) -> None:
    etcd.freeze()  # no dispatcher
    try:
        async with node("a", redis.url, etcd.endpoint, takeover=10.0) as a:
            pushes = [push() for _ in range(5)]
            for one in pushes:
                assert await a.send(one) == ""
        async with node("b", redis.url, etcd.endpoint) as b:
            await until(lambda: len(b.sender.sent) == 5 and not left(redis), 25)
            assert b.counts["seized"] == 5
    finally:
        etcd.thaw()


async def test_redis_away_and_back(a: PushNode, redis: RedisServer) -> None:
    a.sender.holds = lambda _: True
    first = push()
    await a.send(first)
    await until(lambda: a.sender.sent)
    redis.freeze()
    try:
        begin = time.monotonic()
        told = await a.send(push())
        print(f"answered after {time.monotonic() - begin:.2f} s")
        assert told.startswith("the push could not be queued: ")
        a.sender.end(first.id)  # its confirmation has to wait
    finally:
        redis.thaw()
    await until(lambda: a.locations.connected)
    a.sender.holds = lambda _: False
    second = push()
    await until(lambda: len(a.owned) == PARTITIONS)
    assert await a.send(second) == ""
    await until(lambda: not left(redis))
    assert a.sender.sent.count(first.id) == 1
    assert a.sender.sent.count(second.id) == 1


async def test_draining_hands_over_without_a_repeat(redis: RedisServer, etcd: EtcdServer) -> None:
    async with node("a", redis.url, etcd.endpoint) as a, node("b", redis.url, etcd.endpoint) as b:
        await until(lambda: len(a.owned) == len(b.owned) == PARTITIONS // 2)
        for one in (a, b):
            one.sender.width = 4
            one.sender.holds = lambda _: True
        pushes = [push() for _ in range(60)]
        for one in pushes:
            await a.send(one)
        await until(lambda: len(a.sender.sent) == 4)
        begun = list(a.sender.under_way)
        draining = asyncio.create_task(a.service.drain())
        await until(lambda: len(b.owned) == PARTITIONS)
        for identity in begun:
            a.sender.end(identity)
        await draining
        b.sender.holds = a.sender.holds = lambda _: False
        for one in (a, b):
            for identity in list(one.sender.under_way):
                one.sender.end(identity)
        await until(lambda: not left(redis))
        assert Counter(a.sender.sent + b.sender.sent) == Counter(one.id for one in pushes)
        assert await a.send(push()) == ""  # it still queues


async def test_delayed_pushes_come_once_when_they_are_due(a: PushNode, redis: RedisServer) -> None:
    soon, never, replaced = push(), push(), push()
    a.service.schedule("soon", replaced, a.service.now_ms() + 60_000)
    a.service.schedule("soon", msgspec.structs.replace(soon, token=replaced.token), a.service.now_ms() + 200)
    a.service.schedule("never", never, a.service.now_ms() + 400)
    a.service.unschedule("never", never.token)
    begin = time.monotonic()
    await until(lambda: a.sender.sent)
    assert time.monotonic() - begin > 0.15
    await until(lambda: not left(redis))
    marker = push(token=never.token)
    a.service.schedule("marker", marker, a.service.now_ms() + 500)
    await until(lambda: marker.id in a.sender.sent)
    assert a.sender.sent == [soon.id, marker.id]


async def test_the_last_push_of_each_device_is_remembered(a: PushNode, redis: RedisServer) -> None:
    aor = unique_aor()
    a.sender.answer = Answer("refused", 400, "BadTopic")
    await a.send(push(aor=aor, device="<x>", call_id="1"))
    await until(lambda: not left(redis))
    a.sender.answer = Answer("accepted", 200)
    for n in range(40):
        await a.send(push(aor=aor, device=f"<{n}>"))
    await until(lambda: not left(redis))
    last = await a.service.last(aor)
    assert len(last) == 32
    assert last["<39>"].outcome == "accepted"
    assert redis.call("TTL", f"clarion:woken:{{{aor}}}") > 29 * 86400
    assert await a.service.last("nobody@example.org") == {}


async def registered(a: PushNode, aor: str, prid: str) -> int:
    """Registers a phone; when it did."""
    change = Change(device("x", prid=prid, push={"pn-prid": "t"}), 60_000)
    outcome = await a.locations.register(aor, [change], max_contacts=5, call_id="c", cseq=1)
    return outcome.record.bindings[0].registered_at


@pytest.mark.parametrize(
    ("offset", "since", "removed"),
    [(0, 0, True), (-1, 0, False), (0, 1000, True), (0, -1000, False)],
    ids=["as tried", "registered since", "died after", "died before it registered"],
)
async def test_a_dead_token_leaves_the_binding(
    a: PushNode, redis: RedisServer, offset: int, since: int, removed: bool
) -> None:
    aor, prid = unique_aor(), "apns:org.example.app:AB+C:voip&AB+C%2:remote"
    at = await registered(a, aor, prid)
    async with rig(redis.url) as other:
        heard: list[tuple[str, ...]] = []
        other.service.subscribe(aor, lambda _, keys: heard.append(keys))
        await until(lambda: heard)
        heard.clear()
        assert (await a.locations.lookup(aor)).bindings[0].prid == prid  # and it is cached now
        a.sender.answer = Answer("dead", 410, "Unregistered", dead_since=at + since if since else 0)
        await a.send(push(aor=aor, device="<x>", token="AB+C%2", registered_at=at + offset))
        await until(lambda: [event for event in a.events if isinstance(event, PushAddressDead)])
        (event,) = (event for event in a.events if isinstance(event, PushAddressDead))
        assert event.removed is removed
        for locations in (a.locations, other.service):
            binding = (await locations.lookup(aor)).bindings[0]
            assert binding.prid == ("apns:org.example.app:AB+C:voip&-:remote" if removed else prid)
            assert binding.push == {"pn-prid": "t"}
        if removed:
            await until(lambda: heard)
            assert heard[0] == ()  # nobody registered: read again


async def test_one_token_is_one_partition_here_and_there(a: PushNode) -> None:
    assert {partition_of(token) for token in TOKENS.values()} == set(range(PARTITIONS))
    assert set(a.service.status()["dispatchers"].values()) == {"a"}
