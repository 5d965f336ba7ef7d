"""Phones on different nodes: found, called, re-invited, hung up on, cancelled and written to through both."""

import asyncio
from collections.abc import Callable

import pytest

from tests.phones.fixtures import Cluster, Phone, new_user
from tests.phones.linphone import Linphone
from tests.phones.sip_client import SipPhone, connected

TRANSPORTS = [("tcp", "tcp"), ("tls", "tls"), ("tcp", "tls"), ("tls", "tcp"), ("udp", "tls"), ("tcp", "udp")]


def phones(cluster: Cluster, transports: tuple[str, str]) -> tuple[SipPhone, SipPhone]:
    """A phone at each node."""
    one, other = transports
    return (
        SipPhone(new_user("alice"), one, cluster.a.address(one), ca=cluster.a.ca),
        SipPhone(new_user("bob"), other, cluster.b.address(other), ca=cluster.b.ca),
    )


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_call(cluster: Cluster, transports: tuple[str, str]) -> None:
    alice, bob = phones(cluster, transports)
    async with alice, bob:
        await asyncio.gather(alice.register(), bob.register())
        for caller, callee in ((alice, bob), (bob, alice)):
            calling, called = await connected(caller, callee)
            await asyncio.gather(calling.reinvite(), called.expect_reinvite())
            await asyncio.gather(called.reinvite(), calling.expect_reinvite())
            await asyncio.gather(calling.bye(), called.expect_bye())
            calling, called = await connected(caller, callee)
            await asyncio.gather(called.bye(), calling.expect_bye())
        assert (alice.repeated, bob.repeated) == (0, 0)


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_cancel_refusal_and_message(cluster: Cluster, transports: tuple[str, str]) -> None:
    alice, bob = phones(cluster, transports)
    async with alice, bob:
        await asyncio.gather(alice.register(), bob.register())
        calling = alice.invite(bob.uri)
        called = await bob.incoming()
        called.ring()
        await calling.expect(180)
        calling.cancel()
        await called.expect_cancel()
        calling.ack(await calling.expect(487))
        calling = alice.invite(bob.uri)
        called = await bob.incoming()
        called.refuse(486, "Busy Here")
        calling.ack(await calling.expect(486))
        sending = asyncio.create_task(alice.message(bob.uri, "hello"))
        request = await bob.expect_request("MESSAGE")
        assert request.body == b"hello"
        bob.respond(request, 200, "OK")
        await sending


async def test_phone_that_moves_to_the_other_node(cluster: Cluster) -> None:
    instance = "urn:uuid:6c0b4cf4-2d43-4f1c-9f0a-3f1b5d3e7a11"
    carol = SipPhone(new_user("carol"), "udp", cluster.b.address("udp"))
    dave = SipPhone(new_user("dave"), "tcp", cluster.a.address("tcp"), instance=instance)
    async with carol, dave:
        await asyncio.gather(carol.register(), dave.register())
        calling, called = await connected(carol, dave)
        await asyncio.gather(calling.bye(), called.expect_bye())
        await dave.close()
        await dave.open(cluster.b.address("tcp"))
        response = await dave.register()
        assert len(response.values("Contact")) == 1, "the same device replaces its older binding"
        calling, called = await connected(carol, dave)
        await asyncio.gather(called.bye(), calling.expect_bye())


@pytest.mark.real_clients
@pytest.mark.parametrize("transports", [("tls", "tcp"), ("tcp", "tls"), ("udp", "tls")], ids="-".join)
def test_linphone_at_each_node(
    cluster: Cluster, phone: Callable[..., Phone], transports: tuple[str, str]
) -> None:
    alice = phone(Linphone, "alice", transports[0], cluster.a)
    bob = phone(Linphone, "bob", transports[1], cluster.b)
    alice.registered()
    bob.registered()
    for caller, callee, ends in ((alice, bob, bob), (bob, alice, bob), (alice, bob, alice)):
        caller.call(callee.uri)
        callee.wait_incoming()
        caller.wait_ringing()
        callee.answer()
        caller.wait_established()
        callee.wait_established()
        ends.hang_up()
        caller.wait_ended()
        callee.wait_ended()
    alice.message(bob.uri, "are you there")
    assert bob.wait_message() == (alice.uri, "are you there")
