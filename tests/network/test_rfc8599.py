"""RFC 8599 as an app sees it, on two real nodes whose push service is an HTTP server of the test."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.phones.certificates import Certificates
from tests.phones.fixtures import Cluster, Stores, new_user, on
from tests.phones.program import LOOPBACK, free_port
from tests.phones.sip_client import SipPhone, connected
from tests.phones.sip_message import Sip

PORT = free_port()
LIMIT = 10.0


class PushServer:
    """Takes GET requests, and remembers when (the loop's time) it was told which event for which token."""

    def __init__(self) -> None:
        self.got: list[tuple[float, str, str]] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> "PushServer":
        self._server = await asyncio.start_server(self._serve, LOOPBACK, PORT)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            query = parse_qs(urlsplit(head.split(b" ")[1].decode()).query)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            async with self._news:
                now = asyncio.get_running_loop().time()
                self.got.append((now, query["event"][0], query["token"][0]))
                self._news.notify_all()
        finally:
            writer.close()

    async def refreshes(self, token: str, count: int = 1) -> list[float]:
        """Waits until so many refresh pushes for that token came: their times."""

        def found() -> list[float]:
            return [at for at, event, other in self.got if other == token and event == "refresh"]

        try:
            async with asyncio.timeout(LIMIT), self._news:
                while len(found()) < count:
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"waited for {count} refresh pushes to {token}, got {self.got}") from None
        return found()


@pytest.fixture(scope="module")
def nodes(certificates: Certificates, stores: Stores) -> Iterator[Cluster]:
    options = {
        "registrar": {"min_expires": 2},
        "push": {"enabled": True},
        "webhook": {
            "url": f"http://{LOOPBACK}:{PORT}/push?token=$token&event=$event",
            "providers": ["acme", "fcm"],
        },
    }
    a = on(stores, certificates, new_user("pa"), options)
    try:
        b = on(stores, certificates, new_user("pb"), options)
        yield Cluster(a, b)
        b.close()
    finally:
        a.close()


@pytest.fixture
async def service() -> AsyncIterator[PushServer]:
    async with PushServer() as server:
        yield server


@pytest.fixture
async def bob(nodes: Cluster) -> AsyncIterator[SipPhone]:
    async with SipPhone(new_user("bob"), "tcp", nodes.a.address("tcp")) as phone:
        yield phone


def contact(phone: SipPhone, push: str, features: str = "") -> str:
    return f'<{phone.contact};{push}>;+sip.instance="<urn:uuid:{phone.user}>"{features}'


def acme(phone: SipPhone, features: str = "", more: str = "") -> str:
    """A Contact whose token is the name of the user."""
    return contact(phone, f"pn-provider=acme;pn-param=acme-param;pn-prid={phone.user}{more}", features)


def caps(answer: Sip) -> list[str]:
    return answer.values("Feature-Caps")


async def test_the_service_is_confirmed(bob: SipPhone) -> None:
    """The registration of RFC 8599, figure 2."""
    answer = await bob.register(contact=acme(bob), expires=7200)
    assert caps(answer) == ['*;+sip.pns="acme"']
    assert f"pn-prid={bob.user}" in answer.first("Contact"), "it is listed as it was given"


async def test_another_service_is_not_supported(bob: SipPhone, nodes: Cluster) -> None:
    foreign = contact(bob, "pn-provider=other;pn-param=p;pn-prid=t")
    answer = await bob.register(contact=foreign, status=555)
    assert answer.start == "SIP/2.0 555 Push Notification Service Not Supported"
    assert caps(answer) == []
    listed = await bob.expect_response(bob.send_request("REGISTER", bob.uri, to=f"<{bob.uri}>"))
    assert listed.status == 200 and listed.all("Contact") == [], "nothing of it was stored"


async def test_older_apps_are_never_refused(bob: SipPhone) -> None:
    answer = await bob.register(contact=contact(bob, "app-id=x;pn-type=apple;pn-tok=t"))
    assert caps(answer) == []


async def test_an_app_that_renews_by_itself_and_wants_a_reference(bob: SipPhone) -> None:
    answer = await bob.register(contact=acme(bob, ";+sip.pnsreg", ";pn-purr"), expires=7200)
    (told,) = caps(answer)
    found = re.fullmatch(r'\*;\+sip\.pns="acme";\+sip\.pnsreg="(\d+)";\+sip\.pnspurr="[\w-]+"', told)
    assert found and int(found[1]) > 120


async def test_the_reference_is_the_same_at_every_node(bob: SipPhone, nodes: Cluster) -> None:
    here = await bob.register(contact=acme(bob, more=";pn-purr"))
    await bob.close()
    await bob.open(nodes.b.address("tcp"))
    there = await bob.register(contact=acme(bob, more=";pn-purr"))
    assert "pnspurr" in caps(here)[0] and caps(here) == caps(there)


async def test_a_suspended_app_is_woken_in_time_and_again(bob: SipPhone, service: PushServer) -> None:
    begin = asyncio.get_running_loop().time()
    await bob.register(contact=acme(bob), expires=4)
    first, second = await service.refreshes(bob.user, 2)
    assert first - begin > 1.9, "not before half of its short life"
    assert second - begin > 2.9, "again, because it was missed"


async def test_renewing_at_another_node_replaces_it(
    bob: SipPhone, service: PushServer, nodes: Cluster
) -> None:
    await bob.register(contact=acme(bob), expires=3)
    await bob.close()
    await bob.open(nodes.b.address("tcp"))
    begin = asyncio.get_running_loop().time()
    await bob.register(contact=acme(bob), expires=8)
    (at,) = await service.refreshes(bob.user)
    assert at - begin > 3.9, "only what the last REGISTER planned is sent"


@pytest.mark.parametrize("farewell", ["by name", "all", "without its token", "at the other node"])
async def test_unregistering_takes_it_back(
    bob: SipPhone, service: PushServer, nodes: Cluster, farewell: str
) -> None:
    """A push to a witness that was planned later comes, and nothing came to the one that has gone."""
    async with SipPhone(new_user("eve"), "tcp", nodes.a.address("tcp")) as witness:
        await bob.register(contact=acme(bob), expires=2)
        if farewell == "at the other node":  # which has never heard of this user
            await bob.close()
            await bob.open(nodes.b.address("tcp"))
        plain = f'<{bob.contact}>;+sip.instance="<urn:uuid:{bob.user}>"'
        gone = {"by name": acme(bob), "without its token": plain}.get(farewell, "*")
        await bob.register(contact=gone, expires=0)
        await witness.register(contact=acme(witness), expires=3)
        await service.refreshes(witness.user)
    assert bob.user not in {token for _, _, token in service.got}


async def test_tokens_are_not_shown_and_a_reference_is(bob: SipPhone, nodes: Cluster) -> None:
    async with SipPhone(new_user("alice"), "tcp", nodes.b.address("tcp")) as alice:
        await alice.register()
        await bob.register(contact=acme(bob))
        call = alice.invite(bob.uri, contact=f"{alice.contact};pn-provider=acme;pn-prid=secret;pn-purr=abc")
        called = await bob.incoming()
        assert called.invite.first("Contact") == f"<{alice.contact};pn-purr=abc>"
        assert "pn-" not in called.invite.uri
        called.answer(f"{bob.contact};pn-provider=acme;pn-prid=secret;pn-purr=def")
        answer = await call.expect(200)
        assert answer.first("Contact") == f"<{bob.contact};pn-purr=def>"
        call.ack(answer)
        await called.expect_ack()


async def test_a_request_in_the_middle_of_a_dialog_wakes_the_app(
    bob: SipPhone, service: PushServer, nodes: Cluster
) -> None:
    """RFC 8599, figure 4: the app was suspended while it held a call."""
    async with SipPhone(new_user("alice"), "tcp", nodes.b.address("tcp")) as alice:
        await alice.register()
        told = caps(await bob.register(contact=acme(bob, more=";pn-purr")))[0]
        word = re.search(r'pnspurr="([\w-]+)"', told)[1]
        calling = alice.invite(bob.uri)
        called = await bob.incoming()
        called.answer(f"{bob.contact};pn-purr={word}")
        calling.ack(await calling.expect(200))
        await called.expect_ack()
        await bob.close()

        hanging_up = asyncio.create_task(calling.bye(seconds=LIMIT))
        await service.refreshes(bob.user)
        await bob.open(nodes.b.address("tcp"))
        await bob.register(contact=acme(bob, more=";pn-purr"))
        await called.expect_bye()
        await hanging_up


async def test_an_app_that_lives_is_not_woken_in_a_dialog(
    bob: SipPhone, service: PushServer, nodes: Cluster
) -> None:
    async with SipPhone(new_user("alice"), "tcp", nodes.b.address("tcp")) as alice:
        await alice.register()
        await bob.register(contact=acme(bob))
        calling, called = await connected(alice, bob)
        await asyncio.gather(calling.bye(), called.expect_bye())
    assert (bob.user, "refresh") not in {(token, event) for _, event, token in service.got}
