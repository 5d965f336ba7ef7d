"""Sleeping phones on two real nodes with real stores: dead tokens, silent providers, deaths, explanations."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.phones.certificates import Certificates
from tests.phones.clarion import ClarionNode
from tests.phones.fixtures import Cluster, Stores, new_user, on
from tests.phones.sip_client import SipPhone
from tests.standins.process import StandInProcess

PROVIDERS = ("fcm", "apns")


class Providers:
    """Both push services, and what a node needs to reach them."""

    def __init__(self, folder: Path) -> None:
        self.fcm, self.apns = (StandInProcess(kind, folder / kind) for kind in PROVIDERS)
        ca = folder / "ca.pem"
        ca.write_text("".join(Path(standin.ca).read_text() for standin in (self.fcm, self.apns)))
        self.options: dict[str, dict[str, Any]] = {**self.fcm.options(), **self.apns.options()}
        self.options["push"] = {"ca": str(ca)}
        self.options["routing"] = {"call_fork_timeout": 8}

    def stop(self) -> None:
        self.fcm.stop()
        self.apns.stop()


class App(SipPhone):
    """A phone whose app registers a push address."""

    def __init__(self, push: str, token: str, *args: Any, **more: Any) -> None:
        super().__init__(*args, instance=f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_DNS, token)}", **more)
        self.push = f"{push};pn-prid={token}"

    async def come(self) -> None:
        """Registers."""
        await self.register(contact=f'<{self.contact};{self.push}>;+sip.instance="<{self.instance}>"')


FCM = "pn-provider=fcm;pn-param=4711"
VOIP = "pn-provider=apns;pn-param=ABCDE12345.org.example.app.voip"


@pytest.fixture(scope="module")
def providers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Providers]:
    made = Providers(tmp_path_factory.mktemp("providers"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def cluster(providers: Providers, stores: Stores, certificates: Certificates) -> Iterator[Cluster]:
    a = on(stores, certificates, new_user("a"), providers.options)
    try:
        b = on(stores, certificates, new_user("b"), providers.options)
        yield Cluster(a, b)
        b.close()
    finally:
        a.close()


def new_token() -> str:
    return uuid.uuid4().hex * 2


def explained(node: ClarionNode, aor: str) -> dict[str, Any]:
    """What the node says of a user's one phone."""
    status, body = node.get(f"/explain/push/{aor.removeprefix('sip:')}")
    assert status == 200, body
    (row,) = json.loads(body)["devices"] if isinstance(json.loads(body), dict) else json.loads(body)
    return row


async def pushed(standin: StandInProcess, token: str, seconds: float = 10.0) -> dict[str, Any]:
    """The push to that token, once the provider has it."""

    def look() -> dict[str, Any]:
        count = 1
        while True:
            found = [push for push in standin.wait_push(count, seconds) if push["token"] == token]
            if found:
                return found[-1]
            count = len(standin.pushes()) + 1

    return await asyncio.to_thread(look)


async def test_a_dead_token_ends_the_wait_and_wakes_nobody_any_more(
    cluster: Cluster, providers: Providers
) -> None:
    token = new_token()
    providers.fcm.fault("dead", token=token)
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    bob = App(FCM, token, new_user("bob"), "tcp", cluster.b.address("tcp"))
    async with alice, bob:
        await alice.register()
        await bob.come()
        await bob.close()
        call = alice.invite(bob.uri)
        await call.expect(110)
        call.ack(await call.expect(480))
        row = explained(cluster.a, bob.uri)
        assert row["unmet"] == "the provider refused its push token" and "register" in row["remedy"]
        assert row["last"]["outcome"] == "dead" and row["last"]["provider"] == "fcm"
        call = alice.invite(bob.uri)
        call.ack(await call.expect(480))
        assert not any(m.status == 110 and m.call_id == call.invite.call_id for m in alice.received)
        await bob.open(cluster.a.address("tcp"))
        await bob.come()
        assert explained(cluster.b, bob.uri)["unmet"] == "", "a token that is registered anew may live again"


async def test_a_silent_provider_leaves_the_other_alone(cluster: Cluster, providers: Providers) -> None:
    silent, lively = new_token(), new_token()
    providers.apns.fault("black_hole")
    try:
        alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
        bob = App(VOIP, silent, new_user("bob"), "tcp", cluster.a.address("tcp"))
        carol = App(FCM, lively, new_user("carol"), "tcp", cluster.a.address("tcp"))
        async with alice, bob, carol:
            await alice.register()
            for app in (bob, carol):
                await app.come()
                await app.close()
            calls = [alice.invite(bob.uri) for _ in range(20)]
            for call in calls:
                await call.expect(110)
            await alice.invite(carol.uri).expect(110)
            await pushed(providers.fcm, lively, 3.0)
            assert not any(push["token"] == silent for push in providers.apns.pushes())
    finally:
        providers.apns.clear()


async def test_the_caller_gives_up_and_the_voip_phone_gets_invite_and_cancel_at_the_other_node(
    cluster: Cluster, providers: Providers
) -> None:
    token = new_token()
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    bob = App(VOIP, token, new_user("bob"), "tcp", cluster.b.address("tcp"))
    async with alice, bob:
        await alice.register()
        await bob.come()
        await bob.close()
        call = alice.invite(bob.uri)
        await pushed(providers.apns, token)
        call.cancel()
        call.ack(await call.expect(487))
        await bob.open(cluster.b.address("tcp"))
        await bob.come()
        called = await bob.incoming()
        called.ring()
        await called.expect_cancel()


async def test_a_message_wakes_and_arrives(cluster: Cluster, providers: Providers) -> None:
    token = new_token()
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    bob = App(FCM, token, new_user("bob"), "tcp", cluster.a.address("tcp"))
    async with alice, bob:
        await alice.register()
        await bob.come()
        await bob.close()
        await alice.message(bob.uri, "hello", 202)
        push = await pushed(providers.fcm, token)
        assert push["payload"]["message"]["android"]["data"]["loc-key"] == "IM_MSG"
        await bob.open(cluster.b.address("tcp"))
        await bob.come()
        request = await bob.expect_request("MESSAGE")
        bob.respond(request, 200, "OK")
        assert request.body == b"hello"


async def test_a_phone_of_a_node_that_died_is_woken_at_once(
    cluster: Cluster, providers: Providers, stores: Stores, certificates: Certificates
) -> None:
    token = new_token()
    doomed = on(stores, certificates, new_user("c"), providers.options)
    try:
        alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
        bob = App(FCM, token, new_user("bob"), "tcp", doomed.address("tcp"))
        async with alice, bob:
            await alice.register()
            await bob.come()
            doomed.kill()
            call = alice.invite(bob.uri)
            await call.expect(110)
            await pushed(providers.fcm, token)
            await bob.close()
            await bob.open(cluster.b.address("tcp"))
            await bob.come()
            called = await bob.incoming()
            called.ring()
            await call.expect(180)
            called.answer()
            call.ack(await call.expect(200))
            await called.expect_ack()
    finally:
        doomed.close()


async def test_what_is_not_set_up_is_refused_with_555_and_the_older_way_explained(cluster: Cluster) -> None:
    alice = SipPhone(new_user("alice"), "tcp", cluster.a.address("tcp"))
    async with alice:
        unknown = "pn-provider=fcm;pn-param=999;pn-prid=x"
        await alice.register(contact=f"<{alice.contact};{unknown}>", status=555)
        await alice.register(contact=f"<{alice.contact};pn-type=firebase;app-id=999;pn-tok=x>")
        row = explained(cluster.b, alice.uri)
        assert row["unmet"] == "no pushes to fcm 999"
        assert '[fcm."999"]' in row["remedy"]
