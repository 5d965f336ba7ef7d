"""Stored messages when Redis fails: replicas, disks, outages, a cluster."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from cluster.errors import StoreUnavailable
from cluster.messages.events import FsyncUnavailable, MessageStored
from cluster.messages.pending import Mark, Stored
from cluster.redis.address import options_of, parse_url
from cluster.redis.fences import Fences
from cluster.settings import RedisSettings
from tests.network.cluster_rig import unique_aor, until
from tests.network.messages_rig import desk, handed
from tests.stores import RedisServer, redis_cluster, running


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def replica(redis: RedisServer) -> Iterator[RedisServer]:
    with RedisServer(replicaof=f"{redis.host} {redis.port}") as server:
        deadline = time.monotonic() + 20
        while "master_link_status:up" not in server.call("INFO", "replication"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield server


async def test_a_message_is_accepted_when_the_replica_has_it(
    redis: RedisServer, replica: RedisServer
) -> None:
    async with desk(redis.url, replicas=1) as one:
        aor = unique_aor()
        message = await one.put(aor, "<a>")
        assert replica.call("HEXISTS", f"clarion:messages:{{{aor}}}", message.id)
        replica.freeze()
        other = one.pending(aor)
        began = time.monotonic()
        answers = await asyncio.gather(
            one.store(other, ["<a>"]), *(one.store(one.pending(unique_aor()), ["<a>"]) for _ in range(20))
        )
        assert time.monotonic() - began < 2
        assert all(isinstance(answer, StoreUnavailable) for answer in answers)
        assert "0 replicas hold the write, [messages] replicas asks for 1" in str(answers[0])
        assert len([event for event in one.events if isinstance(event, MessageStored)]) == 1
        replica.thaw()
        deadline = time.monotonic() + 20
        while isinstance(stored := await one.store(other, ["<a>"]), StoreUnavailable):
            assert time.monotonic() < deadline
        assert stored == Stored("", True)
        assert redis.call("ZCARD", f"clarion:messages:{{{aor}}}:order") == 2
        assert one.messages.total == 22


async def test_what_waits_across_a_break_is_not_taken_for_safe(redis: RedisServer) -> None:
    """The server is back at the same address; whether it still has what was written before, nobody knows."""
    async with desk(redis.url) as one:
        topology = one.node.service.store.topology
        fences = Fences(topology, options_of(RedisSettings(), parse_url(redis.url)), 0)
        told: list[StoreUnavailable | None] = []
        await fences.passed(b"k", b"clarion:fence:k")
        fences.submit(b"k", b"clarion:fence:k", told.append)
        topology.route(b"k").reconnect("a test")
        await until(lambda: told)
        assert "broke before the write was safe" in str(told[0])
        await until(lambda: one.node.service.connected)
        await fences.passed(b"k", b"clarion:fence:k")
        redis.freeze()
        fences.submit(b"k", b"clarion:fence:k", told.append)
        await fences.close()
        assert isinstance(told[1], StoreUnavailable)


async def test_the_replicas_of_the_redis_section_count_where_no_own_are_set(redis: RedisServer) -> None:
    async with desk(redis.url, redis={"replicas": 1}) as one:
        answer = await one.store(one.pending(unique_aor()), ["<a>"])
        assert isinstance(answer, StoreUnavailable) and "[redis] replicas asks for 1" in str(answer)
    async with desk(redis.url, redis={"replicas": 1}, replicas=0) as one:
        assert isinstance(await one.store(one.pending(unique_aor()), ["<a>"]), Stored)


def knows_waitaof(server: RedisServer) -> bool:
    return bool(server.call("COMMAND", "INFO", "WAITAOF")[0])


async def test_a_message_is_accepted_when_it_is_on_disk() -> None:
    with RedisServer(persistent=True) as server:
        if not knows_waitaof(server):
            pytest.skip("this server has no WAITAOF")
        async with desk(server.url, fsync=True) as one:
            aor = unique_aor()
            await one.put(aor, "<a>")
            assert "cmdstat_waitaof" in server.call("INFO", "commandstats")
            await asyncio.get_running_loop().run_in_executor(None, server.restart)
            await until(lambda: one.node.service.connected)
            assert handed(await one.claim(aor, "<a>")) == {"<a>": [b"hello"]}
            await one.put(aor, "<a>")  # over a new connection of the fence


async def test_a_server_that_cannot_confirm_the_disk_is_never_believed(redis: RedisServer) -> None:
    """Without `appendonly yes` no server can; one without the command answers with an error as well."""
    async with desk(redis.url, fsync=True) as one:
        for _ in range(3):
            answer = await one.store(one.pending(unique_aor()), ["<a>"])
            assert isinstance(answer, StoreUnavailable) and "fsync" in str(answer)
        told = [event for event in one.events if isinstance(event, FsyncUnavailable)]
        assert len(told) == 1 and "[messages] fsync needs Redis 7.2" in told[0].reason
        assert told[0].address == f"{redis.host}:{redis.port}"


async def test_a_frozen_redis_is_told_in_time_and_what_was_kept_is_there_afterwards() -> None:
    with RedisServer(persistent=True) as server:
        async with desk(server.url) as one:
            aor = unique_aor()
            message = await one.put(aor, "<a>", "<b>")
            claimed = await one.claim(aor, "<a>")
            server.freeze()
            other = one.pending(aor)
            confirmed: list[StoreUnavailable | None] = []
            one.messages.confirm(aor, [Mark(message.id, "<a>", 200)], confirmed.append)
            began = time.monotonic()
            assert isinstance(await one.store(other, ["<a>"]), StoreUnavailable)
            assert isinstance(await one.extend(aor, claimed.fence), StoreUnavailable)
            assert isinstance(await one.ask(one.messages.claim, aor, (), 1), StoreUnavailable)
            assert time.monotonic() - began < 2.5
            assert confirmed == []  # goes on trying
            server.thaw()
            await until(lambda: one.node.service.connected)
            await until(lambda: confirmed == [None])
            assert isinstance(stored := await one.store(other, ["<a>"]), Stored) and not stored.refused
            rows = await one.messages.listed(aor)
            assert [row.pending.id for row in rows] == [message.id, other.id]
            assert rows[0].owed == ("<b>",)


async def test_what_a_node_has_seen_delivered_is_not_handed_to_it_again(redis: RedisServer) -> None:
    async with desk(redis.url) as one:
        aor = unique_aor()
        message = await one.put(aor, "<a>")
        told: list[StoreUnavailable | None] = []
        link = one.node.service.store.topology.route(b"")
        link.reconnect("a test")
        one.messages.confirm(aor, [Mark(message.id, "<a>", 200)], told.append)
        await until(lambda: link.up)
        assert told == []
        claimed = await one.claim(aor, "<a>")  # before the confirmation was tried again, or behind it
        assert claimed.owed == ()
        await until(lambda: told == [None])
        assert redis.call("KEYS", "*:messages:{*") == []


AORS = [f"{word}{number}@example.org" for word in ("ada", "bob", "carol", "dee") for number in range(3)]


async def test_a_redis_cluster_keeps_messages() -> None:
    servers = redis_cluster(3)
    with running(*servers):
        async with desk(f"cluster://{servers[0].host}:{servers[0].port}") as one:
            await until(lambda: one.node.service.connected)
            messages = {aor: await one.put(aor, "<a>") for aor in AORS}
            assert all(server.call("DBSIZE") >= 2 for server in servers)
            assert [name for name, _ in await one.messages.users()] == sorted(AORS)
            for aor, message in messages.items():
                claimed = await one.claim(aor, "<a>")
                assert [owed.pending for owed in claimed.owed] == [message]
                await one.confirm(aor, (message, "<a>", 200))
                assert await one.release(aor, claimed.fence) is False
            await until(lambda: all(server.call("KEYS", "*messages*") == [] for server in servers))


async def test_each_master_of_a_redis_cluster_has_a_fence() -> None:
    servers = redis_cluster(3)
    with running(*servers):
        async with desk(f"cluster://{servers[0].host}:{servers[0].port}", replicas=1) as one:
            await until(lambda: one.node.service.connected)
            answers = await asyncio.gather(*(one.store(one.pending(aor), ["<a>"]) for aor in AORS))
            assert {str(answer) for answer in answers} == {
                "0 replicas hold the write, [messages] replicas asks for 1"
            }
            assert all("cmdstat_wait:" in server.call("INFO", "commandstats") for server in servers)
