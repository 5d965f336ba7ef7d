"""What real phones do that scripted ones would not think of, each found with one of them."""

import asyncio

import pytest

from tests.phones.fixtures import Cluster, Node, new_user
from tests.phones.sip_client import SipPhone, connected


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_length_is_added_where_a_datagram_had_none(node: Node, transport: str) -> None:
    """Linphone leaves Content-Length out over UDP; on a stream it must be there (RFC 3261 20.14)."""
    alice = SipPhone(new_user("alice"), transport, node.address(transport), ca=node.ca)
    bob = SipPhone(new_user("bob"), "udp", node.address("udp"))
    bob.with_length = False
    async with alice, bob:
        await asyncio.gather(alice.register(), bob.register())
        calling, called = await connected(alice, bob)
        await asyncio.gather(called.bye(), calling.expect_bye())
        calling, called = await connected(bob, alice)
        await asyncio.gather(called.bye(), calling.expect_bye())


async def test_length_is_added_between_nodes(cluster: Cluster) -> None:
    alice = SipPhone(new_user("alice"), "udp", cluster.a.address("udp"))
    bob = SipPhone(new_user("bob"), "udp", cluster.b.address("udp"))
    alice.with_length = bob.with_length = False
    async with alice, bob:
        await asyncio.gather(alice.register(), bob.register())
        for caller, callee in ((alice, bob), (bob, alice)):
            calling, called = await connected(caller, callee)
            await asyncio.gather(called.bye(), calling.expect_bye())
