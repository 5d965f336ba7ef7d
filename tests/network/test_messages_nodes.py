"""Stored messages on two real nodes with a real Redis: order, devices, refusals, and a node that dies."""

import asyncio
import json
import uuid
from collections.abc import Iterator

import pytest

from tests.phones.certificates import Certificates
from tests.phones.clarion import ClarionNode
from tests.phones.fixtures import Cluster, Stores, new_user, on
from tests.phones.sip_client import SipPhone
from tests.phones.sip_message import Sip

OPTIONS = {"messages": {"claim": 2, "retry": 1, "accept_timeout": 2}}
TEN = [f"message {number}" for number in range(10)]


@pytest.fixture(scope="module")
def cluster(stores: Stores, certificates: Certificates) -> Iterator[Cluster]:
    a = on(stores, certificates, new_user("a"), OPTIONS)
    try:
        b = on(stores, certificates, new_user("b"), OPTIONS)
        yield Cluster(a, b)
        b.close()
    finally:
        a.close()


def device(user: str, server: tuple[str, int], transport: str = "tcp") -> SipPhone:
    """A phone that is known again when it comes back."""
    return SipPhone(user, transport, server, instance=f"urn:uuid:{uuid.uuid4()}")


async def sent(sender: SipPhone, to: SipPhone, text: str, status: int = 202, priority: str = "") -> None:
    """A MESSAGE that is answered so."""
    fields = [("Content-Type", "text/plain")] + ([("Priority", priority)] if priority else [])
    request = sender.send_request("MESSAGE", to.uri, fields=fields, body=text.encode())
    response = await sender.expect_response(request)
    assert response.status == status, sender.evidence(f"{text} got {response.start}, not {status}")


async def taken(phone: SipPhone, status: int = 200, seconds: float = 5.0) -> Sip:
    """The next MESSAGE, answered."""
    request = await phone.expect_request("MESSAGE", seconds)
    phone.respond(request, status)
    return request


async def texts(phone: SipPhone, count: int) -> list[str]:
    """The next messages, each answered before the next one comes."""
    return [(await taken(phone)).body.decode() for _ in range(count)]


async def quiet(phone: SipPhone, seconds: float = 1.5) -> None:
    """No further MESSAGE."""
    await phone.nothing(lambda m: m.method == "MESSAGE" and m.is_request, seconds)


async def waiting(node: ClarionNode, phone: SipPhone, count: int, seconds: float = 5.0) -> None:
    """So many messages are stored for a user."""
    async with asyncio.timeout(seconds):
        while len(json.loads(node.get(f"/messages/{phone.user}@phones.test")[1])) != count:
            await asyncio.sleep(0.01)


async def asleep(phone: SipPhone) -> None:
    """It registers and goes away."""
    await phone.register()
    await phone.close()


async def test_ten_messages_arrive_in_order_at_the_other_node(cluster: Cluster) -> None:
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    bob = device(new_user("bob"), cluster.a.address("tcp"))
    async with alice, bob:
        await alice.register()
        await asleep(bob)
        for text in TEN:
            await sent(alice, bob, text)
        await bob.open(cluster.b.address("tcp"))
        await bob.register()
        first = await bob.expect_request("MESSAGE")
        await quiet(bob, 0.3)  # the second waits for the answer
        assert first.first("Max-Forwards") == "70" and len(first.values("Via")) == 1
        assert first.values("Route") == [] and first.first("Date").endswith("GMT")
        bob.respond(first, 200, "OK")
        assert [first.body.decode(), *await texts(bob, 9)] == TEN
        await bob.register()
        await quiet(bob)
        assert bob.repeated == 0


async def test_each_device_gets_what_it_missed(cluster: Cluster) -> None:
    user = new_user("bob")
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    phone, tablet = device(user, cluster.a.address("tcp")), device(user, cluster.b.address("tcp"))
    async with alice, phone, tablet:
        await alice.register()
        await asleep(phone)
        await tablet.register()
        sending = asyncio.create_task(sent(alice, tablet, "one", 200))
        assert (await taken(tablet)).body == b"one"
        await sending
        await tablet.close()
        await sent(alice, tablet, "two")
        await phone.open(cluster.b.address("tcp"))
        await phone.register()
        assert await texts(phone, 2) == ["one", "two"]
        await tablet.open(cluster.a.address("tcp"))
        await tablet.register()
        assert await texts(tablet, 1) == ["two"]
        await asyncio.gather(quiet(phone), quiet(tablet))


async def test_both_devices_at_once(cluster: Cluster) -> None:
    user = new_user("bob")
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    phone, tablet = device(user, cluster.a.address("tcp")), device(user, cluster.b.address("tcp"))
    async with alice, phone, tablet:
        await alice.register()
        await asleep(phone)
        await asleep(tablet)
        for text in TEN:
            await sent(alice, phone, text)
        await phone.open()
        await tablet.open()
        await asyncio.gather(phone.register(), tablet.register())
        assert await asyncio.gather(texts(phone, 10), texts(tablet, 10)) == [TEN, TEN]
        assert (phone.repeated, tablet.repeated) == (0, 0)


async def test_a_node_dies_in_the_middle_and_the_other_continues(
    cluster: Cluster, stores: Stores, certificates: Certificates
) -> None:
    doomed = on(stores, certificates, new_user("c"), OPTIONS)
    try:
        alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
        bob = device(new_user("bob"), doomed.address("tcp"))
        async with alice, bob:
            await alice.register()
            await asleep(bob)
            for text in TEN:
                await sent(alice, bob, text)
            await bob.open()
            await bob.register()
            assert await texts(bob, 4) == TEN[:4]
            unanswered = await bob.expect_request("MESSAGE")
            assert unanswered.body.decode() == TEN[4]
            await waiting(cluster.b, bob, 6)  # the store knows of the four that were taken
            doomed.kill()  # it holds the claim
            await bob.close()
            await bob.open(cluster.b.address("tcp"))
            await bob.register()
            again = await taken(bob, seconds=10.0)
            assert again.body == unanswered.body, "what was not acknowledged comes again, and nothing else"
            for name in ("Call-ID", "CSeq", "From", "Date"):
                assert again.first(name) == unanswered.first(name)
            assert await texts(bob, 5) == TEN[5:]
            await quiet(bob)
    finally:
        doomed.close()


async def test_a_device_that_is_unavailable_first_gets_it_later(cluster: Cluster) -> None:
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    bob = device(new_user("bob"), cluster.b.address("tcp"))
    async with alice, bob:
        await alice.register()
        await asleep(bob)
        await sent(alice, bob, "one")
        await sent(alice, bob, "two")
        await bob.open()
        await bob.register()
        await taken(bob, 503)
        await taken(bob, 503)  # after a second, without a REGISTER
        await bob.register()
        assert await texts(bob, 2) == ["one", "two"]
        await quiet(bob)


async def test_a_device_that_refuses_is_not_asked_again(cluster: Cluster) -> None:
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    bob = device(new_user("bob"), cluster.b.address("tcp"))
    async with alice, bob:
        await alice.register()
        await asleep(bob)
        await sent(alice, bob, "one")
        await sent(alice, bob, "two")
        await bob.open()
        await bob.register()
        assert (await taken(bob, 488)).body == b"one"
        assert (await taken(bob)).body == b"two"
        await bob.register()
        await quiet(bob)


async def test_urgent_before_normal(cluster: Cluster) -> None:
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    bob = device(new_user("bob"), cluster.b.address("tcp"))
    async with alice, bob:
        await alice.register()
        await asleep(bob)
        for priority in ("non-urgent", "normal", "urgent", "", "emergency"):
            await sent(alice, bob, priority or "none", priority=priority)
        await bob.open()
        await bob.register()
        assert await texts(bob, 5) == ["emergency", "urgent", "normal", "none", "non-urgent"]


async def test_a_removed_registration_brings_nothing(cluster: Cluster) -> None:
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    bob = device(new_user("bob"), cluster.b.address("tcp"))
    async with alice, bob:
        await alice.register()
        await asleep(bob)
        await sent(alice, bob, "one")
        await bob.open()
        await bob.register(expires=0)
        await bob.register(contact="*", expires=0)
        await quiet(bob, 1.0)
        await bob.register()
        assert await texts(bob, 1) == ["one"]


async def test_a_phone_that_comes_back_by_another_connection_gets_the_open_copy(cluster: Cluster) -> None:
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    bob = device(new_user("bob"), cluster.b.address("udp"), "udp")
    async with alice, bob:
        await alice.register()
        await bob.register()
        await sent(alice, bob, "one")  # it is silent
        await bob.close()
        bob.forget()
        await bob.open(cluster.a.address("udp"))
        await bob.register()
        assert (await taken(bob)).body == b"one"
        await quiet(bob)
