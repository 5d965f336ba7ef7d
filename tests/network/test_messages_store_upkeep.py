"""Stored messages on a real Redis: what operators and the collector do, and the count of all."""

import asyncio
import functools
from collections.abc import AsyncIterator, Iterator

import pytest

from cluster.collect.fence import Fence
from cluster.messages.pending import Expired, Stored
from tests.network.cluster_rig import device, unique_aor, until
from tests.network.messages_rig import Desk, desk, handed
from tests.stores import RedisServer

FENCE = Fence(b"clarion:collector", 10)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def one(redis: RedisServer) -> AsyncIterator[Desk]:
    redis.call("FLUSHALL")
    async with desk(redis.url, "n1", max_total=50) as made:
        yield made


def left(redis: RedisServer) -> list[str]:
    return redis.call("KEYS", "*:messages:{*")


async def test_operators_see_what_waits_for_whom_and_what_was_tried(one: Desk) -> None:
    aor, other = unique_aor(), unique_aor()
    first = await one.put(aor, "<a>", "<b>", "<c>", body=b"1")
    urgent = await one.put(aor, "<a>", closed=["<b>", "<c>"], body=b"2", rank=1)
    await one.put(other, "<x>")
    await one.confirm(aor, (first, "<a>", 408), (first, "<b>", 503), (first, "<c>", 486))
    await one.confirm(aor, (first, "<a>", 430))
    rows = await one.messages.listed(aor)
    assert [row.pending for row in rows] == [urgent, first]
    assert (rows[0].owed, rows[0].had, rows[0].tried) == (("<a>",), ("<b>", "<c>"), {})
    assert (rows[1].owed, rows[1].had) == (("<a>", "<b>"), ("<c>",))
    assert rows[1].tried == {"<a>": 430, "<b>": 503, "<c>": 486}
    assert [row.pending for row in await one.messages.listed(aor, 1)] == [urgent]
    assert await one.messages.listed("nobody@nowhere") == []
    assert await one.messages.users() == sorted([(aor, 2), (other, 1)])
    assert len(await one.messages.users(1)) == 1


async def test_an_operator_drops_one_or_all(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    await one.node.put(aor, device("a"))
    first, second = [await one.put(aor, "<a>", "<b>") for _ in range(2)]
    third = await one.put(aor, "<b>", closed=["<a>"])
    assert await one.messages.drop(aor, "unknown") == 0
    assert await one.messages.drop(aor, second.id) == 1
    claimed = await one.claim(aor, "<a>", "<b>")
    assert [owed.pending for owed in claimed.owed if owed.device == "<b>"] == [first, third]
    assert await one.messages.drop(aor, first.id) == 1
    assert set(redis.call("HGET", f"clarion:aor:{{{aor}}}", ":messages").split()) == {"-<a>", "+<b>"}
    assert await one.messages.drop(aor) == 1
    assert await one.messages.drop(aor) == 0
    assert (left(redis), one.messages.total) == ([], 0)
    assert redis.call("HGET", f"clarion:aor:{{{aor}}}", ":messages") is None


async def test_a_sweep_takes_out_what_expired_and_tells_of_it(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    await one.node.put(aor, device("a"))
    gone = [await one.put(aor, "<a>", "<b>", closed=["<c>"], ttl=-1) for _ in range(3)]
    kept = await one.put(aor, "<a>", closed=["<b>", "<c>"])
    await one.confirm(aor, (gone[0], "<a>", 200))
    claimed = await one.claim(aor, "<a>")
    swept = await one.messages.sweep(aor, FENCE, 2)
    assert swept is not None
    assert swept.expired == (
        Expired(gone[0].id, aor, "sip:a@b", gone[0].call_id, ("<b>",), gone[0].stored_at),
        *(Expired(m.id, aor, "sip:a@b", m.call_id, ("<a>", "<b>"), m.stored_at) for m in gone[1:]),
    )
    assert (swept.pending, swept.waiting, swept.claimed) == (1, ("<a>",), True)
    assert set(redis.call("HGET", f"clarion:aor:{{{aor}}}", ":messages").split()) == {"+<a>", "-<b>", "-<c>"}
    await one.release(aor, claimed.fence)
    assert one.messages.total == 1
    redis.call("HDEL", f"clarion:aor:{{{aor}}}", ":messages")  # lost, who knows how
    again = await one.messages.sweep(aor, FENCE, 100)
    assert again is not None and (again.expired, again.claimed) == ((), False)
    assert redis.call("HGET", f"clarion:aor:{{{aor}}}", ":messages")
    await one.confirm(aor, (kept, "<a>", 200))
    assert left(redis) == []


async def test_a_sweep_leaves_no_ghost(one: Desk, redis: RedisServer) -> None:
    """Queues that only faults can make."""
    headless, orderless, half = unique_aor(), unique_aor(), unique_aor()
    for aor in (headless, orderless, half):
        await one.put(aor, "<a>")
    lost = await one.put(half, "<a>", body=b"lost")
    redis.call("HDEL", f"clarion:messages:{{{half}}}", f"{lost.id}/")
    redis.call("DEL", f"clarion:messages:{{{headless}}}")
    redis.call("DEL", f"clarion:messages:{{{orderless}}}:order")
    await one.node.put(orderless, device("a"))
    redis.call("HSET", f"clarion:aor:{{{orderless}}}", ":messages", "+<a>")
    for aor, pending in ((headless, 0), (orderless, 0), (half, 1)):
        swept = await one.messages.sweep(aor, FENCE, 100)
        assert swept is not None and (swept.pending, swept.expired) == (pending, ()), aor
    assert redis.call("HGET", f"clarion:aor:{{{orderless}}}", ":messages") is None
    assert handed(await one.claim(half, "<a>")) == {"<a>": [b"hello"]}
    assert await one.messages.drop(half) == 1
    assert left(redis) == []


async def test_a_collector_with_an_old_fence_does_nothing(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    await one.put(aor, "<a>", ttl=-1)
    redis.call("SET", FENCE.key, 11)
    assert await one.messages.sweep(aor, FENCE, 100) is None
    assert redis.call("ZCARD", f"clarion:messages:{{{aor}}}:order") == 1
    swept = await one.messages.sweep(aor, Fence(FENCE.key, 12), 100)
    assert swept is not None and len(swept.expired) == 1
    assert redis.call("GET", FENCE.key) == "12"
    await one.put(aor, "<a>", ttl=-1)
    swept = await one.messages.sweep(aor, Fence(b"", 1), 100)  # as in a Redis Cluster
    assert swept is not None and len(swept.expired) == 1


async def test_all_nodes_count_together_and_refuse_together(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    async with desk(redis.url, "n2", max_total=50) as two:
        for number in range(50):
            await (one, two)[number % 2].put(aor, "<a>")
        await until(lambda: one.messages.total == two.messages.total == 50)
        for node in (one, two):
            assert await node.store(node.pending(aor), ["<a>"]) == Stored("total")
        assert redis.call("GET", "clarion:messages:total") == "50"
        assert await two.messages.drop(aor) == 50
        await until(lambda: one.messages.total == two.messages.total == 0)
        await until(lambda: redis.call("KEYS", "*messages*") == [])


async def test_the_collector_corrects_the_count(one: Desk, redis: RedisServer) -> None:
    redis.call("SET", "clarion:messages:total", 999)
    await until(lambda: one.messages.total == 999)
    one.messages.correct(0)
    await until(lambda: one.messages.total == 0)
    assert redis.call("KEYS", "*messages*") == []
    one.messages.correct(7)
    await until(lambda: one.messages.total == 7)


async def test_a_node_that_ends_has_told_its_count(redis: RedisServer) -> None:
    redis.call("FLUSHALL")
    aor = unique_aor()
    async with desk(redis.url, "brief") as brief:
        await brief.put(aor, "<a>")
    await until(lambda: redis.call("GET", "clarion:messages:total") == "1")


async def test_a_walk_through_a_long_queue_takes_several_scripts(
    one: Desk, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.messages.queue.LOOKED_AT", 10)
    aor = unique_aor()
    async with desk(redis.url, "n3", max_per_user=500) as node:
        messages = [node.pending(aor, b"%d" % n) for n in range(240)]
        ask = functools.partial(node.ask, node.messages.store)
        await asyncio.gather(*(ask(message, ["<a>"], ()) for message in messages))
        redis.call("CONFIG", "RESETSTAT")
        claimed = await node.claim(aor, "<new>", count=70)
        bodies = [message.request for message in messages]
        assert handed(claimed) == {"<new>": bodies[:70]} and claimed.more
        assert "cmdstat_evalsha:calls=5" in redis.call("INFO", "commandstats")
        rows = await node.messages.listed(aor)
        assert all(row.owed == ("<a>", "<new>") for row in rows) and len(rows) == 240
