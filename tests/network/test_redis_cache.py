"""Two nodes on one Redis: what one writes the other sees, though both read from their memory."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from cluster.events import StoreBack, StoreLost, TrackingUnavailable
from tests.network.cluster_rig import MINUTE, Rig, device, rig, unique_aor, until
from tests.stores import RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def a(redis: RedisServer) -> AsyncIterator[Rig]:
    async with rig(redis.url) as made:
        yield made


@pytest.fixture
async def b(redis: RedisServer) -> AsyncIterator[Rig]:
    async with rig(redis.url) as made:
        yield made


def shown(node: Rig, aor: str) -> list[str] | None:
    record = node.service.cached(aor)
    return None if record is None else [binding.key for binding in record.bindings]


async def test_what_one_registers_the_other_reads(a: Rig, b: Rig) -> None:
    aor = unique_aor()
    assert await b.keys(aor) == []
    assert shown(b, aor) == []  # an absence is cached too
    await a.put(aor, device("one"))
    assert shown(a, aor) == ["<one>"]  # the writer needs no read
    await until(lambda: shown(b, aor) is None)
    assert await b.keys(aor) == ["<one>"]
    assert shown(b, aor) == ["<one>"]


async def test_both_write_in_turns_and_both_hear_of_it(a: Rig, b: Rig) -> None:
    aor = unique_aor()
    for turn in range(1, 20):
        writer, reader = (a, b) if turn % 2 else (b, a)
        await writer.put(aor, device("x", uri=f"sip:{turn}@h"), call_id=f"c{turn}")
        assert writer.service.cached(aor).bindings[0].uri == f"sip:{turn}@h"
        await until(
            lambda: reader.service.cached(aor) is None  # noqa: B023
        )
        assert (await reader.service.fetch(aor)).bindings[0].uri == f"sip:{turn}@h"


async def test_writes_in_one_turn_of_redis_leave_nobody_with_the_older_one(
    a: Rig, b: Rig, redis: RedisServer
) -> None:
    """Redis is stopped while both send, so that it finds both requests in one turn of its loop."""
    for turn in range(1, 11):
        aor = unique_aor()
        await asyncio.gather(a.keys(aor), b.keys(aor))
        first, second = (a, b) if turn % 2 else (b, a)
        os.kill(redis.pid, signal.SIGSTOP)
        writes = [
            asyncio.ensure_future(node.put(aor, device("x", uri=f"sip:{name}@h"), call_id=name))
            for name, node in (("1", first), ("2", second))
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        os.kill(redis.pid, signal.SIGCONT)
        await asyncio.gather(*writes)
        await a.service.store.call(b"x", "PING")  # what stands in the stream before this has been read
        await b.service.store.call(b"x", "PING")
        truth = redis.call("HGET", f"clarion:aor:{{{aor}}}", "<x>")
        for node in (a, b):
            known = node.service.cached(aor)
            assert known is None or known.bindings[0].uri in truth


async def test_a_read_and_a_write_cross(a: Rig, b: Rig) -> None:
    """Whatever the order, after all notices are in, no cache holds the older state."""
    for _ in range(50):
        aor = unique_aor()
        await asyncio.gather(b.service.fetch(aor), a.put(aor, device("x")), b.service.fetch(aor))
        await b.service.store.call(b"x", "PING")
        assert shown(b, aor) in (None, ["<x>"])


async def test_concurrent_reads_of_one_address_are_one_read(a: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    redis.call("CONFIG", "RESETSTAT")
    records = await asyncio.gather(*(a.service.fetch(aor) for _ in range(50)))
    assert all(record is records[0] for record in records)
    assert "cmdstat_hgetall:calls=1," in redis.call("INFO", "commandstats")


async def test_one_reader_that_gives_up_does_not_harm_the_others(a: Rig) -> None:
    aor = unique_aor()
    first, second = (asyncio.ensure_future(a.service.fetch(aor)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).bindings == ()


async def test_a_register_whose_caller_gave_up_still_reaches_the_cache(a: Rig) -> None:
    aor = unique_aor()
    await a.keys(aor)
    writing = asyncio.ensure_future(a.put(aor, device("x")))
    await asyncio.sleep(0)
    writing.cancel()
    await a.service.store.call(b"x", "PING")
    assert shown(a, aor) == ["<x>"]


async def test_a_flushed_redis_empties_the_cache(a: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    await a.put(aor, device("x"))
    redis.call("FLUSHALL")
    await until(lambda: shown(a, aor) is None)
    assert await a.keys(aor) == []


async def test_a_killed_connection_drops_the_cache(a: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    await a.put(aor, device("x"))
    redis.call("CLIENT", "KILL", "TYPE", "normal")
    await until(lambda: any(isinstance(event, StoreBack) for event in a.events))
    assert any(isinstance(event, StoreLost) for event in a.events)
    assert shown(a, aor) is None
    assert await a.keys(aor) == ["<x>"]


async def test_cached_bindings_expire_by_themselves(a: Rig) -> None:
    aor = unique_aor()
    await a.put(aor, device("short"), ttl=30)
    await a.put(aor, device("long"))
    assert len(shown(a, aor)) == 2
    await until(lambda: shown(a, aor) == ["<long>"])


async def test_the_cache_has_a_bound(redis: RedisServer) -> None:
    async with rig(redis.url, cache_records=5) as node:
        aors = [unique_aor() for _ in range(9)]
        for aor in aors:
            await node.put(aor, device("x"))
        assert [shown(node, aor) is not None for aor in aors] == [False] * 4 + [True] * 5


async def test_without_a_cache_every_lookup_is_a_read(redis: RedisServer) -> None:
    async with rig(redis.url, cache_records=0) as node:
        aor = unique_aor()
        await node.put(aor, device("x"))
        assert shown(node, aor) is None
        assert len((await node.service.lookup(aor)).bindings) == 1


async def test_a_redis_that_refuses_tracking_is_used_without_cache() -> None:
    with RedisServer() as redis:
        redis.call("ACL", "SETUSER", "default", "-client|tracking")
        async with rig(redis.url) as node:
            assert any(isinstance(event, TrackingUnavailable) for event in node.events)
            aor = unique_aor()
            await node.put(aor, device("x"))
            assert shown(node, aor) is None
            assert await node.keys(aor) == ["<x>"]


async def test_subscribers_hear_registrations_at_any_node(a: Rig, b: Rig) -> None:
    aor, heard = unique_aor(), []
    await b.keys(aor)

    def hear(name: str, keys: tuple[str, ...]) -> None:
        heard.append((name, keys, shown(b, aor)))

    b.service.subscribe(aor, hear)
    await until(lambda: heard == [(aor, (), None)])  # from now on nothing is missed
    await b.keys(aor)
    await a.put(aor, device("x"), device("y"))
    await until(lambda: len(heard) == 2)
    assert heard[1][:2] == (aor, ("<x>", "<y>"))
    assert heard[1][2] is None  # what was cached before is not to be believed any more
    assert sorted(await b.keys(aor)) == ["<x>", "<y>"]
    await a.put(aor, device("x"), ttl=0, cseq=2)  # a removal wakes nobody
    await b.put(aor, device("z"))
    await until(lambda: len(heard) == 3)
    assert heard[2][:2] == (aor, ("<z>",))
    b.service.unsubscribe(aor, hear)
    await a.put(aor, device("x"), cseq=3)
    await a.put(unique_aor(), device("x"))
    assert len(heard) == 3


async def test_subscribers_are_told_to_read_again_after_a_gap(a: Rig, redis: RedisServer) -> None:
    aor, heard = unique_aor(), []
    a.service.subscribe(aor, lambda name, keys: heard.append(keys))
    await until(lambda: heard == [()])
    redis.call("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: heard == [(), ()])
    await a.put(aor, device("x"), ttl=MINUTE)
    await until(lambda: heard == [(), (), ("<x>",)])
