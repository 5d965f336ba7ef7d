"""Stored messages on a real Redis: kept, handed out in order, confirmed, gone."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from cluster.messages.events import MessageStored
from cluster.messages.pending import ANYBODY, Stored
from tests.network.cluster_rig import device, unique_aor
from tests.network.messages_rig import Desk, desk, handed
from tests.stores import RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def one(redis: RedisServer) -> AsyncIterator[Desk]:
    redis.call("FLUSHALL")
    async with desk(redis.url, "n1") as made:
        yield made


@pytest.fixture
async def two(redis: RedisServer, one: Desk) -> AsyncIterator[Desk]:
    async with desk(redis.url, "n2") as made:
        yield made


async def test_each_device_gets_what_it_is_owed_and_then_nothing_is_left(
    one: Desk, redis: RedisServer
) -> None:
    aor = unique_aor()
    first = await one.put(aor, "<a>", "<b>", body=b"1")
    second = await one.put(aor, "<a>", closed=["<b>"], body=b"2")
    claimed = await one.claim(aor, "<a>", "<b>")
    assert claimed.fence > 0 and not claimed.more
    assert handed(claimed) == {"<a>": [b"1", b"2"], "<b>": [b"1"]}
    assert [owed.pending for owed in claimed.owed if owed.device == "<a>"] == [first, second]
    await one.confirm(aor, (first, "<a>", 200), (second, "<a>", 486))
    assert handed(await one.claim(aor, "<a>", "<b>", fence=claimed.fence)) == {"<b>": [b"1"]}
    await one.confirm(aor, (first, "<b>", 200))
    assert await one.release(aor, claimed.fence) is False
    assert redis.call("KEYS", "*:messages:{*") == []
