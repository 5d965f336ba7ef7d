"""Redis is killed and restarted, or hangs: no promise is broken, nothing blocks, all recovers by itself."""

import asyncio
import itertools

from tests.failover.conftest import StartNode
from tests.phones.fixtures import Stores
from tests.phones.program import DOMAIN
from tests.phones.sip_client import SipPhone, connected
from tests.phones.sip_message import Sip

WORKERS = 20
AFTER_RESTART = 300
"""Registrations that must succeed after the restart before the load stops."""


async def register(phone: SipPhone, user: str, contact: bool = True) -> Sip:
    """Registers another user over this phone's connection, or asks what is registered."""
    rows = [("Contact", f"<sip:{user}@127.0.0.1:9;transport=udp>"), ("Expires", "600")] if contact else []
    request = phone.send_request("REGISTER", f"sip:{DOMAIN}", to=f"<sip:{user}@{DOMAIN}>", fields=rows)
    return await phone.expect_response(request, seconds=10)


async def test_no_answered_registration_is_lost(start_node: StartNode, own_stores: Stores) -> None:
    nodes = [start_node("a"), start_node("b")]
    phones = [SipPhone(f"loader{i}", "tcp", node.address("tcp")) for i, node in enumerate(nodes)]
    numbers, stored, refused = itertools.count(), [], 0
    restarted, enough = asyncio.Event(), asyncio.Event()

    async def work(phone: SipPhone) -> None:
        nonlocal refused
        after = 0
        while not enough.is_set():
            user = f"user{next(numbers)}"
            response = await register(phone, user)
            if response.status == 200:
                stored.append(user)
                after += restarted.is_set()
            else:
                assert response.status == 503, phone.evidence(f"REGISTER got {response.start}")
                assert response.first("Retry-After"), phone.evidence("a 503 without Retry-After")
                refused += 1
                await asyncio.sleep(0.05)  # a phone would wait longer
            if after >= AFTER_RESTART // WORKERS:
                break
        enough.set()

    async with phones[0], phones[1]:
        tasks = [asyncio.create_task(work(phones[i % 2])) for i in range(WORKERS)]
        while len(stored) < AFTER_RESTART and not any(task.done() for task in tasks):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(own_stores.redis.restart)
        restarted.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 40)
        assert len(stored) > AFTER_RESTART
        for turn, user in enumerate(stored):
            found = await register(phones[turn % 2], user, contact=False)
            assert found.status == 200, phones[turn % 2].evidence(f"asked for {user}")
            assert len(found.values("Contact")) == 1, (
                f"{user} was answered 200 and is gone ({refused} refused)"
            )


async def test_hanging_redis_refuses_registrations_and_keeps_calls(
    start_node: StartNode, own_stores: Stores
) -> None:
    node = start_node("a")
    alice, bob = (SipPhone(user, "tcp", node.address("tcp")) for user in ("alice", "bob"))
    async with alice, bob:
        await asyncio.gather(alice.register(), bob.register())
        calling, called = await connected(alice, bob)
        own_stores.redis.freeze()
        try:
            alice.register_cseq += 1
            refused = await register(alice, "carol")
            assert refused.status == 503, alice.evidence("REGISTER while Redis hangs")
            assert refused.first("Retry-After"), alice.evidence("a 503 without Retry-After")
            await asyncio.gather(called.reinvite(), calling.expect_reinvite())
            await asyncio.gather(calling.bye(), called.expect_bye())
            calling, called = await connected(alice, bob)
            await asyncio.gather(called.bye(), calling.expect_bye())
        finally:
            own_stores.redis.thaw()
        async with asyncio.timeout(15):
            while (await register(alice, "carol")).status != 200:
                await asyncio.sleep(0.1)
        calling, called = await connected(bob, alice)
        await asyncio.gather(called.bye(), calling.expect_bye())


async def test_register_is_refused_within_two_seconds(start_node: StartNode, own_stores: Stores) -> None:
    node = start_node("a")
    async with SipPhone("alice", "udp", node.address("udp")) as alice:
        await alice.register()
        own_stores.redis.freeze()
        try:
            request = alice.send_request(
                "REGISTER", f"sip:{DOMAIN}", to=f"<{alice.uri}>", fields=[("Contact", f"<{alice.contact}>")]
            )
            # two seconds are promised; half of one is for the machine that runs this test
            response = await alice.expect_response(request, seconds=2.5)
            assert response.status == 503
        finally:
            own_stores.redis.thaw()
