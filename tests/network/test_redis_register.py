"""What one REGISTER does to an address of record (RFC 3261 10.3), against a real Redis."""

from collections.abc import AsyncIterator, Iterator

import pytest

from cluster.errors import StoreUnavailable
from cluster.location.binding import Binding
from tests.network.cluster_rig import MINUTE, Rig, device, rig, unique_aor
from tests.stores import RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def node(redis: RedisServer) -> AsyncIterator[Rig]:
    async with rig(redis.url) as made:
        yield made


def stored(redis: RedisServer, aor: str) -> list[str]:
    return sorted(redis.call("HKEYS", f"clarion:aor:{{{aor}}}"))


async def test_a_binding_comes_back_as_it_was_given(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    given = Binding(
        key='"<urn:uuid:1>";reg-id=2', uri="sip:a@h;transport=tcp", params=';q=0.5;+x="é\\n"', q=500,
        instance="<urn:uuid:1>", reg_id=2, path=("<sip:p;lr>", "<sip:q;lr>"), node="a", epoch="e", flow="t",
        reliable=True, push={"pn-provider": "apns"}, prid="apns:p:t", raw_uri="sip:a@h;x", user_agent="Ü",
    )  # fmt: skip
    outcome = await node.put(aor, given, call_id="c@h", cseq=7, message_ttl=2 * MINUTE)
    node.service.cache.clear()
    read = (await node.service.fetch(aor)).bindings
    assert read == outcome.record.bindings
    assert (read[0].call_id, read[0].cseq) == ("c@h", 7)
    assert read[0].expires_at - read[0].registered_at == MINUTE
    assert read[0].message_expires_at - read[0].registered_at == 2 * MINUTE
    seconds, microseconds = map(int, redis.call("TIME"))
    assert abs(seconds * 1000 + microseconds // 1000 - read[0].registered_at) < 5000
    expected = {name: getattr(given, name) for name in given.__struct_fields__}
    for name in ("expires_at", "message_expires_at", "registered_at", "call_id", "cseq"):
        expected[name] = getattr(read[0], name)
    assert {name: getattr(read[0], name) for name in read[0].__struct_fields__} == expected


async def test_the_key_lives_as_long_as_the_last_binding(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    await node.put(aor, device("long"), ttl=10 * MINUTE)
    await node.put(aor, device("short"), ttl=MINUTE)
    assert 9 * MINUTE < redis.call("PTTL", f"clarion:aor:{{{aor}}}") <= 10 * MINUTE
    await node.put(aor, device("long"), ttl=MINUTE, message_ttl=30 * MINUTE, cseq=2)
    assert 29 * MINUTE < redis.call("PTTL", f"clarion:aor:{{{aor}}}") <= 30 * MINUTE
    assert redis.call("PTTL", f"clarion:aor:{{{aor}}}") > 0


async def test_several_contacts_go_in_together(node: Rig) -> None:
    aor = unique_aor()
    outcome = await node.put(aor, device("a"), device("b", q=500), device("c"))
    assert [b.key for b in outcome.record.bindings] == ["<a>", "<c>", "<b>"]
    assert sorted(await node.keys(aor)) == ["<a>", "<b>", "<c>"]


@pytest.mark.parametrize("cseq", [4, 5])
async def test_a_lower_or_equal_cseq_refuses_the_whole_request(node: Rig, cseq: int) -> None:
    aor = unique_aor()
    await node.put(aor, device("a", uri="sip:first@h"), cseq=5)
    outcome = await node.put(aor, device("b"), device("a", uri="sip:second@h"), cseq=cseq)
    assert outcome.refused == "cseq"
    assert [b.uri for b in outcome.record.bindings] == ["sip:first@h"]
    assert await node.keys(aor) == ["<a>"]


async def test_another_call_id_starts_a_new_order(node: Rig) -> None:
    aor = unique_aor()
    await node.put(aor, device("a"), cseq=50)
    outcome = await node.put(aor, device("a", uri="sip:new@h"), cseq=1, call_id="rebooted")
    assert not outcome.refused
    assert [b.uri for b in outcome.record.bindings] == ["sip:new@h"]


async def test_a_ttl_of_zero_removes_one_binding(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    await node.put(aor, device("a"), device("b"))
    outcome = await node.put(aor, device("a"), ttl=0, cseq=2)
    assert [b.key for b in outcome.record.bindings] == ["<b>"]
    await node.put(aor, device("b"), ttl=0, cseq=3)
    assert redis.call("EXISTS", f"clarion:aor:{{{aor}}}") == 0
    assert node.service.cached(aor) is not None
    assert not (await node.put(aor, device("never"), ttl=0)).refused


async def test_the_wildcard_removes_all(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    await node.put(aor, device("a"), cseq=3)
    await node.put(aor, device("b"), call_id="other", cseq=9)
    assert (await node.put(aor, wildcard=True, cseq=3)).refused == "cseq"
    assert stored(redis, aor) == ["<a>", "<b>"]
    outcome = await node.put(aor, wildcard=True, cseq=4)
    assert outcome.record.bindings == ()
    assert stored(redis, aor) == []


async def test_the_same_push_token_replaces_the_older_device(node: Rig) -> None:
    aor = unique_aor()
    await node.put(aor, device("before", prid="fcm:p:token"), device("other", prid="fcm:p:else"))
    outcome = await node.put(aor, device("reinstalled", prid="fcm:p:token"), call_id="new")
    assert sorted(b.key for b in outcome.record.bindings) == ["<other>", "<reinstalled>"]
    assert outcome.evicted == ("<before>",)
    assert sorted(await node.keys(aor)) == ["<other>", "<reinstalled>"]


async def test_two_flows_of_one_device_share_their_push_token(node: Rig) -> None:
    aor = unique_aor()
    await node.put(aor, device(key="<d>;reg-id=1", prid="apns:p:t"))
    await node.put(aor, device(key="<d>;reg-id=2", prid="apns:p:t"), call_id="second")
    assert sorted(await node.keys(aor)) == ["<d>;reg-id=1", "<d>;reg-id=2"]
    await node.put(aor, device(key="<e>;reg-id=1", prid="apns:p:t"), call_id="third")
    assert sorted(await node.keys(aor)) == ["<e>;reg-id=1"]


async def test_removing_a_binding_does_not_touch_others_with_its_token(node: Rig) -> None:
    aor = unique_aor()
    await node.put(aor, device("new", prid="fcm:p:t"))
    await node.put(aor, device("old", prid="fcm:p:t"), ttl=0, call_id="old")
    assert await node.keys(aor) == ["<new>"]


async def test_the_oldest_registration_makes_room(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    for name in ("a", "b", "c"):
        await node.put(aor, device(name), max_contacts=3)
        await _tick(redis)
    await node.put(aor, device("a"), cseq=2, max_contacts=3)  # a refresh makes it young
    outcome = await node.put(aor, device("d"), max_contacts=3)
    assert outcome.evicted == ("<b>",)
    assert sorted(await node.keys(aor)) == ["<a>", "<c>", "<d>"]


async def test_more_contacts_at_once_than_allowed_are_refused(node: Rig) -> None:
    aor = unique_aor()
    await node.put(aor, device("here"))
    outcome = await node.put(aor, device("a"), device("b"), device("c"), max_contacts=2)
    assert outcome.refused == "contacts"
    assert await node.keys(aor) == ["<here>"]


async def test_expired_bindings_are_dropped_when_the_next_registers(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    await node.put(aor, device("brief"), ttl=1)
    await node.put(aor, device("late"), ttl=1, message_ttl=MINUTE)
    await _tick(redis)
    assert [b.key for b in (await node.service.fetch(aor)).bindings] == ["<late>"]
    await node.put(aor, device("new"))
    assert stored(redis, aor) == ["<late>", "<new>"]


async def test_records_of_a_later_version_are_skipped_and_kept(node: Rig, redis: RedisServer) -> None:
    aor, key = unique_aor(), "clarion:aor:{%s}"
    far = 9_999_999_999_999
    redis.call("HSET", key % aor, "<future>", f"9\n{far}\n{far}\n1\n1\nc\n\n{{}}")
    redis.call("HSET", key % aor, "<more>", f'1\n{far}\n{far}\n1\n1\nc\n\n{{"uri":"sip:m@h","new":[1]}}')
    redis.call("HSET", key % aor, "<broken>", "what is this")
    assert await node.keys(aor) == ["<more>"]
    await node.put(aor, device("mine"))
    assert stored(redis, aor) == ["<future>", "<mine>", "<more>"]


async def test_odd_names_stay_one_key(node: Rig) -> None:
    for aor in ("ü ö@x", "a}b{c@x", "{}@x", "", "x\ny@z", "*@x"):
        await node.put(aor, device("a"))
        assert [b.key for b in node.service.cached(aor).bindings] == ["<a>"]
        node.service.cache.clear()
        assert await node.keys(aor) == ["<a>"]


async def test_operators_can_list_and_count(redis: RedisServer) -> None:
    with RedisServer() as alone:
        async with rig(alone.url) as node:
            assert await node.service.count() == 0
            for number in range(30):
                await node.put(f"u{number}@listed", device("a"))
            await node.put("someone@else", device("a"))
            await node.service.shared_secret("x")
            assert await node.service.count() == 31
            found = [record.aor async for record in node.service.scan("*@listed", 100)]
            assert len(set(found)) == len(found) == 30
            assert len([record async for record in node.service.scan(limit=7)]) == 7


async def test_a_secret_is_made_once(node: Rig, redis: RedisServer) -> None:
    async with rig(redis.url) as other:
        first = await node.service.shared_secret("flow")
        assert len(first) == 32
        assert await other.service.shared_secret("flow") == first
        assert await other.service.shared_secret("other") != first


async def test_a_script_that_redis_forgot_is_sent_again(node: Rig, redis: RedisServer) -> None:
    aor = unique_aor()
    redis.call("SCRIPT", "FLUSH")
    assert not (await node.put(aor, device("a"))).refused
    assert await node.keys(aor) == ["<a>"]


async def test_what_redis_refuses_is_unavailable(node: Rig, redis: RedisServer) -> None:
    redis.call("SET", "clarion:aor:{wrong@type}", "x")
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        await node.service.fetch("wrong@type")
    with pytest.raises(StoreUnavailable):
        await node.put("wrong@type", device("a"))


async def _tick(redis: RedisServer) -> None:
    """Let at least one ms of the store's clock pass."""
    start = redis.call("TIME")
    while (now := redis.call("TIME"))[0] == start[0] and int(now[1]) - int(start[1]) < 2000:
        pass
