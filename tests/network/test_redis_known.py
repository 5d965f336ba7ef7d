"""Users without bindings, and the marker of stored messages among the bindings, against a real Redis."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.network.cluster_rig import MINUTE, Rig, device, rig, unique_aor, until
from tests.stores import RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def node(redis: RedisServer) -> AsyncIterator[Rig]:
    async with rig(redis.url, keep=3600.0) as made:
        yield made


def place(aor: str) -> str:
    return f"clarion:aor:{{{aor}}}"


def queue(redis: RedisServer, aor: str, devices: str) -> None:
    redis.call("HSET", f"clarion:messages:{{{aor}}}", ":devices", devices)


def alive(node: Rig, aor: str) -> bool:
    """Whether a binding of it still lives."""
    record = node.service.cached(aor)
    return record is None or bool(record.bindings)


async def test_who_never_registered_is_unknown(node: Rig) -> None:
    record = await node.service.fetch(unique_aor())
    assert not record.known
    assert not record.bindings


async def test_the_key_outlives_its_last_binding(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    await node.put(aor, device("phone"))
    assert 60 * MINUTE < redis.call("PTTL", place(aor)) <= 61 * MINUTE
    await node.put(aor, device("tablet"), ttl=2 * MINUTE)
    assert 61 * MINUTE < redis.call("PTTL", place(aor)) <= 62 * MINUTE


async def test_who_unregistered_is_known_and_has_no_bindings(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    await node.put(aor, device("phone"))
    outcome = await node.put(aor, device("phone"), ttl=0, cseq=2)
    assert (outcome.record.bindings, outcome.record.known) == ((), True)
    node.service.cache.clear()
    record = await node.service.fetch(aor)
    assert (record.bindings, record.known) == ((), True)
    assert redis.call("HKEYS", place(aor)) == [":seen"]
    assert 59 * MINUTE < redis.call("PTTL", place(aor)) <= 60 * MINUTE
    assert [record.aor async for record in node.service.scan(aor)] == []
    await node.put(aor, device("phone"), cseq=3)
    assert redis.call("HKEYS", place(aor)) == ["<phone>"]


async def test_without_keep_nothing_stays(redis: RedisServer) -> None:
    aor = unique_aor()
    async with rig(redis.url) as node:
        await node.put(aor, device("phone"))
        await node.put(aor, device("phone"), ttl=0, cseq=2)
        assert redis.call("EXISTS", place(aor)) == 0


async def test_an_expired_binding_is_seen_by_nobody_and_left_to_the_collector(
    node: Rig, redis: RedisServer
) -> None:
    aor = unique_aor()
    await node.put(aor, device("old"), ttl=1)
    await until(lambda: not alive(node, aor))
    await node.put(aor, device("phone"))
    node.service.cache.clear()
    assert [binding.key for binding in (await node.service.fetch(aor)).bindings] == ["<phone>"]
    assert sorted(redis.call("HKEYS", place(aor))) == ["<old>", "<phone>"]
    outcome = await node.put(aor, device("old"), cseq=1)  # a new life: its old CSeq does not count
    assert not outcome.refused
    assert len(outcome.record.bindings) == 2


async def test_a_first_registration_hears_of_stored_messages(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    queue(redis, aor, "+<phone>\n-<tablet>")
    outcome = await node.put(aor, device("phone"))
    assert outcome.record.messages == {"<phone>": True, "<tablet>": False}
    assert redis.call("HGET", place(aor), ":messages") == "+<phone>\n-<tablet>"
    node.service.cache.clear()
    assert (await node.service.fetch(aor)).messages == {"<phone>": True, "<tablet>": False}


async def test_a_further_registration_keeps_the_marker_and_hears_of_it(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    assert (await node.put(aor, device("phone"))).record.messages == {}
    redis.call("HSET", place(aor), ":messages", "+<phone>")
    assert (await node.put(aor, device("phone"), cseq=2)).record.messages == {"<phone>": True}
    assert (await node.put(aor, device("tablet"), cseq=2)).record.messages == {"<phone>": True}
    refused = await node.put(aor, device("phone"), cseq=1)
    assert (refused.refused, refused.record.messages) == ("cseq", {"<phone>": True})
    await node.put(aor, device("phone"), ttl=0, cseq=3)
    gone = await node.put(aor, device("tablet"), ttl=0, cseq=3)
    assert (gone.record.known, gone.record.messages) == (True, {"<phone>": True})


async def test_the_cache_hears_of_a_marker_that_another_node_writes(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    await node.put(aor, device("phone"))
    cached = node.service.cached(aor)
    assert cached is not None
    assert not cached.messages
    redis.call("HSET", place(aor), ":messages", "+<phone>")
    await until(lambda: node.service.cached(aor) is None)
    assert (await node.service.lookup(aor)).messages == {"<phone>": True}
