"""The scripts of the push queue on real Redis, one server and a cluster."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from cluster.errors import StoreUnavailable
from cluster.push.partition import partition_of
from cluster.push.push import decode
from cluster.push.queue import BEGIN, Queue, sentence
from cluster.redis.connection import settle
from tests.network.cluster_rig import rig, until
from tests.network.push_rig import TOKENS, push
from tests.stores import RedisServer, redis_cluster, running


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


class Desk:
    """A queue whose methods are awaited."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    async def ask(self, method: Callable[..., None], *arguments: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        method(*arguments, settle(answer))
        return await answer

    async def submit(self, *pushes: Any) -> list[Any]:
        return [await self.ask(self.queue.submit, one) for one in pushes]

    async def take(self, fence: int, node: str = "a", cursor: bytes = BEGIN, again: bool = False) -> Any:
        """The pushes, or the greater fence."""
        reply = await self.ask(self.queue.take, 3, fence, node, cursor, 100, again)
        return reply if isinstance(reply, int) else [decode(payload) for payload in reply[4::2]]

    async def confirm(self, who: str, *pairs: Any) -> Any:
        return await self.ask(self.queue.confirm, 3, who, pairs)

    async def seize(self, node: str, *ids: str, silent_ms: int = 60_000, fence: int = 0) -> Any:
        return await self.ask(self.queue.seize, 3, node, silent_ms, fence, ids)


@pytest.fixture
async def desk(redis: RedisServer) -> AsyncIterator[Desk]:
    redis.call("FLUSHALL")
    async with rig(redis.url) as node:
        yield Desk(Queue(node.service.store, "clarion", 5))


def ours(**fields: Any) -> Any:
    return push(token=TOKENS[3], **fields)


async def test_the_same_push_is_queued_once_and_a_full_partition_refuses(desk: Desk) -> None:
    first = ours()
    assert partition_of(first.token) == 3
    entries = await desk.submit(first, first)
    assert entries[0] == entries[1] != 0
    replies = await desk.submit(*(ours() for _ in range(5)))
    assert [reply == 0 for reply in replies] == [False, False, False, False, True]
    assert "[push] max_queue_size" in sentence(replies[-1], 5)
    assert sentence(entries[0], 5) == ""
    assert await desk.submit(push(token=TOKENS[4])) != [0]  # another partition


async def test_a_successor_gets_all_that_is_unconfirmed_and_the_stale_one_nothing(
    desk: Desk, redis: RedisServer
) -> None:
    pushes = [ours() for _ in range(4)]
    entries = await desk.submit(*pushes)
    assert await desk.take(10) == pushes
    assert await desk.take(10) == []  # claimed already
    assert await desk.take(10, again=True) == pushes
    assert await desk.confirm("d10", entries[0], pushes[0].id) == [1]
    assert await desk.take(12, "b") == pushes[1:]
    assert await desk.take(10) == 12
    assert await desk.confirm("d10", entries[1], pushes[1].id) == 12
    assert await desk.ask(desk.queue.alive, 3, 10, "a", ()) == 12
    assert await desk.confirm("d12", entries[0], pushes[0].id, entries[1], pushes[1].id) == [0, 1]
    assert await desk.confirm("d12", entries[1], pushes[1].id) == [0]
    assert redis.call("HLEN", "clarion:push:{push:03}:ids") == 2
    assert redis.call("HLEN", "clarion:push:{push:03}:claims") == 2
    assert redis.call("XLEN", "clarion:push:{push:03}") == 2


async def test_nodes_seize_what_no_living_dispatcher_has(desk: Desk) -> None:
    one, other = ours(), ours()
    entry, second = await desk.submit(one, other)
    assert await desk.seize("n", one.id, "never") == [entry, b""]  # nobody had claimed it
    assert await desk.seize("m", one.id) == [b"-"]  # n has it
    assert await desk.seize("n", one.id) == [entry]  # renewed
    assert await desk.take(10) == [other]
    assert await desk.seize("n", other.id) == [b"-"]  # its dispatcher gave a sign of life
    await asyncio.sleep(0.002)
    assert await desk.seize("n", other.id, silent_ms=1) == [second]
    assert await desk.confirm("sm", entry, one.id) == [-1]
    assert await desk.confirm("sn", entry, one.id, second, other.id) == [1, 1]
    assert await desk.confirm("d10", second, other.id) == [0]


async def test_a_dispatcher_hands_over_and_releases(desk: Desk) -> None:
    one, other = ours(), ours()
    entry, second = await desk.submit(one, other)
    await desk.take(10)
    assert await desk.seize("a", one.id, fence=10) == [entry]  # under way: goes on in the name of the node
    await desk.ask(desk.queue.release, 3, "d10", [entry, second])
    assert await desk.take(11, "b") == [other]
    assert await desk.confirm("sa", entry, one.id) == [1]


async def test_withdrawn_pushes_are_not_taken(desk: Desk) -> None:
    one, other = ours(), ours()
    entry, second = await desk.submit(one, other)
    assert await desk.ask(desk.queue.withdraw, one) == 1
    assert await desk.take(10) == [other]
    assert (await desk.ask(desk.queue.alive, 3, 10, "a", (entry, second)))[2:] == [0, 1]
    assert await desk.ask(desk.queue.withdraw, other) == 2
    assert await desk.ask(desk.queue.withdraw, other) == 0
    assert (await desk.ask(desk.queue.alive, 3, 10, "a", (second,)))[2:] == [0]
    assert await desk.confirm("d10", second, other.id) == [0]


async def test_orphans_are_claimed_by_one_node_and_only_in_silence(desk: Desk) -> None:
    one = ours()
    (entry,) = await desk.submit(one)
    ask = desk.queue.orphans
    await asyncio.sleep(0.003)
    found = await desk.ask(ask, 3, "n", 1, BEGIN, 10)
    assert found[2] == entry
    assert decode(found[3]) == one
    assert (await desk.ask(ask, 3, "m", 1, BEGIN, 10))[2:] == []
    await desk.take(10)
    assert await desk.ask(ask, 3, "n", 60_000, BEGIN, 10) == [BEGIN, 0]


async def test_what_is_due_is_moved_once(desk: Desk) -> None:
    soon, late, gone = ours(), ours(), ours()
    queue = desk.queue
    assert await desk.ask(queue.schedule, "soon", late, 9_000_000_000_000) == 1
    assert await desk.ask(queue.schedule, "soon", soon, 1000) == 1  # replaces
    assert await desk.ask(queue.schedule, "late", late, 9_000_000_000_000) == 1
    assert await desk.ask(queue.schedule, "gone", gone, 1000) == 1
    assert await desk.ask(queue.unschedule, "gone", gone.token) == 1
    assert (await desk.ask(queue.alive, 3, 10, "a", ()))[1] == 1000
    moved = await asyncio.gather(*(desk.ask(queue.due, 3, 10, 0) for _ in range(5)))
    assert sorted(moved) == [0, 0, 0, 0, 1]
    assert await desk.take(10) == [soon]
    assert (await desk.ask(queue.alive, 3, 10, "a", ()))[1] == 9_000_000_000_000
    assert await desk.ask(queue.due, 3, 9, 0) == -1  # a stale fence
    assert await desk.ask(queue.due, 3, 0, 60_000) == -1  # a dispatcher lives


async def test_redis_away_and_back_loses_nothing() -> None:
    with RedisServer(persistent=True) as redis:
        async with rig(redis.url) as node:
            desk = Desk(Queue(node.service.store, "clarion", 5))
            first, second = ours(), ours()
            await desk.submit(first)
            redis.kill()
            await until(lambda: not node.service.connected)
            with pytest.raises(StoreUnavailable) as caught:
                await desk.submit(second)
            assert sentence(caught.value, 5).startswith("the push could not be queued: ")
            redis.start()
            await until(lambda: node.service.connected)
            await desk.submit(second)
            assert await desk.take(10) == [first, second]


async def test_a_partition_stays_in_one_slot_of_a_redis_cluster() -> None:
    nodes = redis_cluster(3)
    with running(*nodes):
        async with rig(f"cluster://127.0.0.1:{nodes[0].port}") as node:
            await until(lambda: node.service.connected)
            desk = Desk(Queue(node.service.store, "clarion", 5))
            for number, token in TOKENS.items():
                one = push(token=token)
                (entry,) = await desk.submit(one)
                reply = await desk.ask(desk.queue.take, number, 7, "a", BEGIN, 10, False)
                assert reply[3:] == [entry, reply[4]]
                await desk.ask(desk.queue.schedule, "m", push(token=token), 1)
                assert await desk.ask(desk.queue.due, number, 7, 0) == 1
                assert await desk.ask(desk.queue.confirm, number, "d7", (entry, one.id)) == [1]
