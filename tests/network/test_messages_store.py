"""Stored messages on a real Redis: kept, handed out in order, confirmed, gone."""

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
    async with desk(redis.url, "n1", max_per_user=200) as made:
        yield made


@pytest.fixture
async def two(redis: RedisServer, one: Desk) -> AsyncIterator[Desk]:
    async with desk(redis.url, "n2") as made:
        yield made


def listed(redis: RedisServer, aor: str) -> set[str]:
    """The lines of :devices."""
    return set((redis.call("HGET", f"clarion:messages:{{{aor}}}", ":devices") or "").split())


def left(redis: RedisServer) -> list[str]:
    return redis.call("KEYS", "*:messages:{*")


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
    assert listed(redis, aor) == {"-<a>", "+<b>"}
    await one.confirm(aor, (first, "<b>", 200))
    assert await one.release(aor, claimed.fence) is False
    assert left(redis) == []
    stored = [event for event in one.events if isinstance(event, MessageStored)]
    assert [(event.id, event.devices, event.bytes) for event in stored] == [
        (first.id, ("<a>", "<b>"), 1), (second.id, ("<a>",), 1)
    ]  # fmt: skip


async def test_the_same_message_is_kept_and_counted_once(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    message = one.pending(aor)
    assert await one.store(message, ["<a>", "<b>"]) == Stored("", False, ("<a>", "<b>"))
    assert await one.store(message, ["<a>"], ["<b>"]) == Stored("", True, ())  # <b> took it meanwhile
    assert one.messages.total == 1
    assert handed(await one.claim(aor, "<a>", "<b>")) == {"<a>": [b"hello"]}
    await one.confirm(aor, (message, "<a>", 200), (message, "<a>", 200))
    assert (left(redis), one.messages.total) == ([], 0)


async def test_priority_comes_before_arrival(one: Desk) -> None:
    aor = unique_aor()
    for rank in (2, 3, 0, 2, 1, 3, 0):
        await one.put(aor, "<a>", body=b"%d" % rank, rank=rank)
    first = await one.put(aor, "<b>", closed=["<a>"], body=b"another's", rank=0)
    assert handed(await one.claim(aor, "<a>"))["<a>"] == [b"0", b"0", b"1", b"2", b"2", b"3", b"3"]
    ids = [row.pending.id for row in await one.messages.listed(aor)]
    assert ids.index(first.id) == 2


async def test_many_messages_are_handed_out_bit_by_bit_in_order(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    messages = [await one.put(aor, "<a>", "<b>", body=b"%d" % n) for n in range(130)]
    claimed = await one.claim(aor, "<a>", count=60)
    assert claimed.more
    got: list[bytes] = []
    while claimed.owed:
        bodies = handed(claimed)["<a>"]
        assert len(bodies) <= 60
        got += bodies
        await one.confirm(aor, *((owed.pending, "<a>", 200) for owed in claimed.owed))
        claimed = await one.claim(aor, "<a>", count=60, fence=claimed.fence)
    assert got == [message.request for message in messages] and not claimed.more
    assert listed(redis, aor) == {"-<a>", "+<b>"}


async def test_a_claim_keeps_others_out_until_it_ends(one: Desk, two: Desk) -> None:
    aor = unique_aor()
    await one.put(aor, "<a>")
    mine = await one.claim(aor, "<a>")
    refused = await two.claim(aor, "<a>")
    assert refused.fence == 0 and 0 < refused.left_ms <= 5000 and not refused.owed
    assert await one.extend(aor, mine.fence) is True
    assert await one.extend(aor, mine.fence - 1) is False
    assert await one.release(aor, mine.fence) is True  # somebody asked
    theirs = await two.claim(aor, "<a>")
    assert theirs.fence > mine.fence and len(theirs.owed) == 1
    assert await one.extend(aor, mine.fence) is False
    late = await one.claim(aor, "<a>", fence=mine.fence)
    assert late.fence == 0 and not late.owed
    assert await one.release(aor, mine.fence) is False
    assert (await two.claim(aor, "<a>", fence=theirs.fence)).fence == theirs.fence
    assert await two.release(aor, theirs.fence) is True  # one asked, in vain


async def test_the_claim_of_a_dead_node_ends_by_itself(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    async with desk(redis.url, "dead", claim=1) as dead:
        await dead.put(aor, "<a>")
        old = await dead.claim(aor, "<a>")
        refused = await one.claim(aor, "<a>")
        assert 0 < refused.left_ms <= 1000
        while not (claimed := await one.claim(aor, "<a>")).fence:
            assert claimed.left_ms <= 1000
        assert claimed.fence > old.fence and len(claimed.owed) == 1
        assert (await dead.claim(aor, "<a>", fence=old.fence)).fence == 0
        # A delivery is a fact, whoever tells it.
        await dead.confirm(aor, (claimed.owed[0].pending, "<a>", 200))
        assert left(redis) == []


async def test_an_own_claim_does_not_keep_its_node_out(one: Desk) -> None:
    aor = unique_aor()
    await one.put(aor, "<a>")
    before = await one.claim(aor, "<a>")
    after = await one.claim(aor, "<a>")
    assert after.fence > before.fence and after.owed
    assert await one.extend(aor, before.fence) is False


async def test_what_is_owed_to_anybody_goes_to_one_who_comes(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    message = await one.put(aor, ANYBODY)
    claimed = await one.claim(aor, "?x", "?y")
    assert handed(claimed) == {"?x": [b"hello"]}
    await one.confirm(aor, (message, "?x", 415))
    assert handed(await one.claim(aor, "?x", "?y")) == {"?y": [b"hello"]}  # <x> will not be asked again
    assert listed(redis, aor) == {"+*"}
    await one.confirm(aor, (message, "?y", 200))
    assert left(redis) == []


async def test_a_named_device_also_gets_what_anybody_may_have(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    message = await one.put(aor, ANYBODY)
    claimed = await one.claim(aor, "<a>", "?x")
    assert handed(claimed) == {"<a>": [b"hello"]}
    await one.confirm(aor, (message, "<a>", 200))
    assert left(redis) == []


async def test_refusals_of_those_that_are_never_known_again_are_bounded(
    one: Desk, redis: RedisServer
) -> None:
    aor = unique_aor()
    message = await one.put(aor, ANYBODY)
    tries = 0
    while left(redis):
        tries += 1
        assert tries < 100
        await one.confirm(aor, (message, f"sip:someone@host{tries}.example.org:5060", 415))
    assert tries > 10


async def test_a_new_device_gets_all_that_is_there(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    first = await one.put(aor, "<a>", body=b"1")
    await one.put(aor, "<a>", closed=[ANYBODY], body=b"for a only")
    await one.put(aor, "<a>", body=b"3")
    assert listed(redis, aor) == {"+<a>"}
    assert handed(await one.claim(aor, "<new>"))["<new>"] == [b"1", b"3"]
    assert listed(redis, aor) == {"+<a>", "+<new>"}
    await one.confirm(aor, (first, "<new>", 200))
    assert handed(await one.claim(aor, "<new>", "?x")) == {"<new>": [b"3"]}
    assert handed(await one.claim(aor, "<a>"))["<a>"] == [b"1", b"for a only", b"3"]


async def test_a_new_device_that_took_the_latest_still_gets_what_came_before(
    one: Desk, redis: RedisServer
) -> None:
    aor = unique_aor()
    await one.put(aor, "<a>", body=b"1")
    await one.put(aor, "<a>", closed=["<new>"], body=b"2")
    assert listed(redis, aor) == {"+<a>"}
    assert handed(await one.claim(aor, "<new>")) == {"<new>": [b"1"]}


async def test_a_new_device_that_refused_or_took_all_it_was_named_for_is_not_done(
    one: Desk, redis: RedisServer
) -> None:
    aor = unique_aor()
    await one.put(aor, "<a>", body=b"1")
    second = await one.put(aor, "<a>", "<new>", body=b"2")
    await one.confirm(aor, (second, "<new>", 200))
    assert listed(redis, aor) == {"+<a>"}
    assert handed(await one.claim(aor, "<new>")) == {"<new>": [b"1"]}


async def test_a_registration_hears_who_is_owed(one: Desk) -> None:
    aor = unique_aor()
    message = await one.put(aor, "<a>", closed=["<b>"])
    outcome = await one.node.put(aor, device("a"))
    assert outcome.record.messages == {"<a>": True, "<b>": False}
    await one.confirm(aor, (message, "<a>", 200))
    assert await one.owed(aor) == {}
    await one.put(aor, ANYBODY)
    assert await one.owed(aor) == {ANYBODY: True}


async def test_a_device_that_was_away_when_a_message_came_gets_it_too(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    first = await one.put(aor, "<a>", "<c>", closed=["<b>"], body=b"1")
    assert listed(redis, aor) == {"+<a>", "-<b>", "+<c>"}
    await one.put(aor, "<a>", body=b"2")  # neither <b> nor <c> has a binding now
    assert listed(redis, aor) == {"+<a>", "+<c>"}
    assert handed(await one.claim(aor, "<b>")) == {"<b>": [b"2"]}
    claimed = await one.claim(aor, "<c>", count=1)
    assert handed(claimed) == {"<c>": [b"1"]} and claimed.more
    await one.confirm(aor, (first, "<c>", 200))
    assert handed(await one.claim(aor, "<c>")) == {"<c>": [b"2"]}


async def test_a_device_that_was_away_gets_what_anybody_may_have(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    await one.put(aor, "<a>", closed=["<b>"], body=b"1")
    await one.put(aor, ANYBODY, closed=["<a>"], body=b"2")
    assert listed(redis, aor) == {"+<a>", "+*"}
    assert handed(await one.claim(aor, "<b>")) == {"<b>": [b"2"]}


async def test_first_names_the_devices_that_were_owed_nothing_of_the_kind(one: Desk) -> None:
    aor = unique_aor()

    async def first(kind: str, *owed: str) -> tuple[str, ...]:
        stored = await one.store(one.pending(aor, kind=kind), owed)
        assert isinstance(stored, Stored)
        return stored.first

    assert await first("", "<a>") == ()
    assert await first("message", "<a>") == ("<a>",)
    assert await first("message", "<a>", "<b>") == ("<b>",)
    assert await first("voicemail", "<a>") == ("<a>",)
    claimed = await one.claim(aor, "<a>")
    marks = [(owed.pending, "<a>", 200) for owed in claimed.owed if owed.pending.kind == "message"]
    await one.confirm(aor, *marks)
    assert await first("message", "<a>") == ("<a>",)


async def test_a_full_queue_refuses_and_has_room_again(one: Desk) -> None:
    aor = unique_aor()
    first = await one.put(aor, "<a>")
    for _ in range(199):
        await one.put(aor, "<a>")
    assert await one.store(one.pending(aor), ["<a>"]) == Stored("full")
    assert await one.store(first, ["<a>"]) == Stored("", True)  # it is there, full or not
    await one.confirm(aor, (first, "<a>", 200))
    assert await one.store(one.pending(aor), ["<a>"]) == Stored("", False)


async def test_what_expired_is_not_handed_out(one: Desk) -> None:
    aor = unique_aor()
    await one.put(aor, "<a>", body=b"old", ttl=-1)
    await one.put(aor, "<a>", body=b"new")
    claimed = await one.claim(aor, "<a>", "<other>")
    assert handed(claimed) == {"<a>": [b"new"], "<other>": [b"new"]} and not claimed.more


async def test_a_message_of_a_later_version_is_left_in_place(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    later = await one.put(aor, "<a>", body=b"later")
    await one.put(aor, "<a>", body=b"now")
    key = f"clarion:messages:{{{aor}}}"
    for field in (later.id, f"{later.id}/"):
        redis.call("HSET", key, field, "2" + redis.call("HGET", key, field)[1:])
    claimed = await one.claim(aor, "<a>", count=1)
    assert handed(claimed) == {"<a>": [b"now"]} and not claimed.more
    await one.confirm(aor, (claimed.owed[0].pending, "<a>", 200))
    assert listed(redis, aor) == {"+<a>"}  # a newer node will deliver it
    assert redis.call("ZCARD", f"{key}:order") == 1
    assert await one.messages.listed(aor) == []
    await one.confirm(aor, (later, "<a>", 200))
    assert left(redis) == []


async def test_the_bindings_carry_a_copy_of_who_is_owed(one: Desk, two: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    place = f"clarion:aor:{{{aor}}}"
    await one.put(aor, "<a>")
    assert not redis.call("EXISTS", place)  # no hash is made for it
    await one.node.put(aor, device("a"), device("b"))
    message = await one.put(aor, "<a>", "<b>")
    assert set(redis.call("HGET", place, ":messages").split()) == {"+<a>", "+<b>"}
    await one.messages.drop(aor)
    assert redis.call("HGET", place, ":messages") is None

    for node in (one, two):
        await node.node.service.fetch(aor)
        assert node.node.service.cached(aor) is not None
    message = await one.put(aor, "<a>")
    assert one.node.service.cached(aor) is None
    await two.node.service.fetch(aor)
    await one.node.service.fetch(aor)
    await two.confirm(aor, (message, "<a>", 200))
    assert two.node.service.cached(aor) is None
    assert redis.call("HGET", place, ":messages") is None
    assert redis.call("TTL", place) > 0


async def test_a_claim_clears_a_copy_that_outlived_its_queue(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    await one.node.put(aor, device("a"))
    redis.call("HSET", f"clarion:aor:{{{aor}}}", ":messages", "+<a>")
    await one.node.service.fetch(aor)
    claimed = await one.claim(aor, "<a>")
    assert claimed.fence and not claimed.owed
    assert redis.call("HGET", f"clarion:aor:{{{aor}}}", ":messages") is None
    assert one.node.service.cached(aor) is None
    assert await one.release(aor, claimed.fence) is False
    assert left(redis) == []


async def test_keys_outlive_the_last_message_by_a_day(one: Desk, redis: RedisServer) -> None:
    aor = unique_aor()
    await one.put(aor, "<a>", ttl=100_000)
    await one.put(aor, "<a>", ttl=50_000)  # does not shorten it
    for key in (f"clarion:messages:{{{aor}}}", f"clarion:messages:{{{aor}}}:order"):
        assert 86_490_000 < redis.call("PTTL", key) <= 86_500_000
    await one.put(aor, "<a>", ttl=200_000)
    assert redis.call("PTTL", f"clarion:messages:{{{aor}}}") > 86_590_000
