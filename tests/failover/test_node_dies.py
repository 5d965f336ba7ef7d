"""One of two nodes is killed: what the other one holds goes on, what the dead one held can move."""

import asyncio

from tests.failover.conftest import StartNode
from tests.phones.clarion import ClarionNode
from tests.phones.sip_client import SipPhone, connected


def at(node: ClarionNode, user: str, transport: str) -> SipPhone:
    return SipPhone(user, transport, node.address(transport), ca=node.ca)


async def test_the_other_node_goes_on(start_node: StartNode) -> None:
    a, b = start_node("a"), start_node("b")
    alice, bob, carol = at(b, "alice", "tls"), at(b, "bob", "tcp"), at(a, "carol", "tcp")
    async with alice, bob, carol:
        await asyncio.gather(alice.register(), bob.register(), carol.register())
        calling, called = await connected(alice, bob)
        calling_carol, _ = await connected(bob, carol)
        a.kill()
        await carol.wire.closed.wait()

        # a call at the living node: its dialog works, its connections are still there
        await asyncio.gather(calling.reinvite(), called.expect_reinvite())
        await asyncio.gather(called.bye(), calling.expect_bye())
        second, answered = await connected(bob, alice)
        await asyncio.gather(second.bye(), answered.expect_bye())
        await alice.register()
        assert not alice.wire.closed.is_set()
        assert not bob.wire.closed.is_set()
        assert calling_carol.routes

        # a phone of the dead node: asleep at once, not after 32 s
        lost = alice.invite(carol.uri)
        refusal = await alice.expect_response(lost.invite, seconds=8)
        assert refusal.status in (404, 430, 480), alice.evidence("the phone of the dead node")
        lost.ack(refusal)


async def test_phones_of_the_dead_node_are_reachable_after_they_register_again(start_node: StartNode) -> None:
    a, b = start_node("a"), start_node("b")
    instance = "urn:uuid:0f2e4ab2-52a6-4a35-9d1e-64d7b1b3f00d"
    alice = at(b, "alice", "tcp")
    bob = SipPhone("bob", "tcp", a.address("tcp"), instance=instance)
    async with alice, bob:
        await asyncio.gather(alice.register(), bob.register())
        calling, called = await connected(alice, bob)
        await asyncio.gather(calling.bye(), called.expect_bye())
        a.kill()
        await bob.close()
        await bob.open(b.address("tcp"))
        response = await bob.register()
        assert len(response.values("Contact")) == 1
        for caller, callee in ((alice, bob), (bob, alice)):
            calling, called = await connected(caller, callee)
            await asyncio.gather(called.bye(), calling.expect_bye())


async def test_a_node_that_comes_back_serves_again(start_node: StartNode) -> None:
    a, b = start_node("a"), start_node("b")
    alice, bob = at(b, "alice", "tcp"), at(a, "bob", "tls")
    async with alice:
        async with bob:
            await asyncio.gather(alice.register(), bob.register())
            a.kill()
        await asyncio.to_thread(a.start)
        async with bob:
            # its old connection died with the old incarnation; the new one replaces it by registering
            bob.register_call_id = "second-life"
            await bob.register()
            calling, called = await connected(alice, bob, seconds=10)
            await asyncio.gather(called.bye(), calling.expect_bye())


async def test_calls_across_both_nodes_start_while_etcd_is_away(start_node: StartNode, own_stores) -> None:
    a, b = start_node("a"), start_node("b")
    alice, bob = at(a, "alice", "tcp"), at(b, "bob", "tcp")
    async with alice, bob:
        await asyncio.gather(alice.register(), bob.register())
        own_stores.etcd.kill()
        for caller, callee in ((alice, bob), (bob, alice)):
            calling, called = await connected(caller, callee)
            await asyncio.gather(called.bye(), calling.expect_bye())
        await alice.register()
        own_stores.etcd.start()
        calling, called = await connected(alice, bob)
        await asyncio.gather(called.bye(), calling.expect_bye())
