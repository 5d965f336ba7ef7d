"""The registrar as a phone sees it: RFC 3261 section 10, 3327, 3608, 5626 and 5627, on two real nodes."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from tests.phones.certificates import Certificates
from tests.phones.fixtures import Cluster, Stores, new_user, on
from tests.phones.program import DOMAIN
from tests.phones.sip_client import SipPhone
from tests.phones.sip_message import Sip, inner_uri

INSTANCE = "urn:uuid:00000000-0000-1000-8000-00000000000{}"
STATIC = "gateway"


@pytest.fixture(scope="module")
def nodes(
    certificates: Certificates, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    static = tmp_path_factory.mktemp("static") / "registrations"
    static.write_text(f"{STATIC}@{DOMAIN} sip:{STATIC}@127.0.0.1:9\n")
    registrar = {
        "min_expires": 2, "max_expires": 3600, "default_expires": 700,
        "service_route": ["sip:127.0.0.1:5099;lr"], "static_file": static,
    }  # fmt: skip
    a = on(stores, certificates, "rega", {"registrar": registrar})
    try:
        b = on(stores, certificates, "regb", {"registrar": registrar})
        yield Cluster(a, b)
        b.close()
    finally:
        a.close()


@pytest.fixture
async def alice(nodes: Cluster):
    async with SipPhone(new_user("alice"), "udp", nodes.a.address("udp")) as phone:
        yield phone


def contacts(response: Sip) -> dict[str, int]:
    """URI and seconds left of each Contact that a 200 lists."""
    values = response.values("Contact")
    return {inner_uri(v): int(re.search(r";expires=(\d+)", v)[1]) for v in values}


async def query(phone: SipPhone, status: int = 200) -> dict[str, int]:
    """What the registrar says without being told anything."""
    request = phone.send_request("REGISTER", f"sip:{DOMAIN}", to=f"<{phone.uri}>")
    response = await phone.expect_response(request)
    assert response.status == status
    return contacts(response)


def there(number: int) -> str:
    return f"sip:x@127.0.0.1:{20_000 + number}"


async def test_several_contacts_are_one_change(alice: SipPhone) -> None:
    one, two, three = there(1), there(2), there(3)
    answer = await alice.register(contact=f"<{one}>, <{two}>;expires=60", expires=90)
    assert contacts(answer) == {one: 90, two: 60}
    answer = await alice.register(contact=f"<{one}>;expires=0,<{three}>", expires=90)
    assert contacts(answer).keys() == {two, three}
    await alice.register(contact=f"<{one}>, <{two}>;expires=0, <sip:x@y>;q=7", status=400)
    await alice.register(contact=f"<{one}>;expires=1, <{two}>;expires=0", status=423)
    assert (await query(alice)).keys() == {two, three}, "a part of a refused REGISTER was done"


async def test_wildcard(alice: SipPhone) -> None:
    await alice.register(contact=f"<{there(1)}>, <{there(2)}>")
    for contact, expires in (("*", None), ("*", 60), (f"*, <{there(3)}>", 0)):
        await alice.register(contact=contact, expires=expires, status=400)
    alice.register_cseq -= 4
    await alice.register(contact="*", expires=0, status=500)
    assert len(await query(alice)) == 2
    alice.register_cseq += 4
    assert contacts(await alice.register(contact="*", expires=0)) == {}
    assert await query(alice) == {}


async def test_order_of_cseq(alice: SipPhone) -> None:
    alice.register_cseq = 10
    await alice.register(contact=f"<{there(1)}>")
    alice.register_cseq = 5
    await alice.register(contact=f"<{there(1)}>", expires=0, status=500)
    await alice.register(contact=f"<{there(2)}>, <{there(1)}>;expires=0", status=500)
    assert (await query(alice)).keys() == {there(1)}
    alice.register_call_id += "-rebooted"
    assert contacts(await alice.register(contact=f"<{there(1)}>", expires=0)) == {}


@pytest.mark.parametrize(
    ("header", "parameter", "seconds"),
    [(None, "", 700), (100, "", 100), (100, ";expires=50", 50), (None, ";expires=soon", 700),
     (None, ";expires=999999999999", 700), (99999, "", 3600), (100, ";expires=4294967295", 3600)],
)  # fmt: skip
async def test_expires(alice: SipPhone, header: int | None, parameter: str, seconds: int) -> None:
    answer = await alice.register(contact=f"<{there(1)}>{parameter}", expires=header)
    assert contacts(answer) == {there(1): seconds}


async def test_too_brief(alice: SipPhone) -> None:
    answer = await alice.register(expires=1, status=423)
    assert answer.first("Min-Expires") == "2"
    assert contacts(await alice.register(contact=f"<{there(9)}>", expires=0)) == {}


async def test_thirteenth_device_takes_the_place_of_the_oldest(alice: SipPhone) -> None:
    for number in range(12):
        await alice.register(contact=f"<{there(number)}>")
        await asyncio.sleep(0.002)  # ages are told apart by milliseconds
    answer = await alice.register(contact=f"<{there(12)}>")
    assert contacts(answer).keys() == {there(number) for number in range(1, 13)}


async def test_what_is_the_same_device(alice: SipPhone) -> None:
    instance = f';+sip.instance="<{INSTANCE.format(1)}>"'
    push = ";pn-provider=fcm;pn-param=p;pn-prid=token"
    await alice.register(contact=f"<{there(1)}>{instance}")
    await alice.register(contact=f"<{there(2)}>{instance}")
    assert (await query(alice)).keys() == {there(2)}
    await alice.register(contact=f"<{there(3)}{push}>{instance}")
    await alice.register(contact=f'<{there(4)}{push}>;+sip.instance="<{INSTANCE.format(2)}>"')
    assert (await query(alice)).keys() == {there(4)}, "push parameters leak, or one token wakes two"


async def test_contacts_are_compared_as_uris(alice: SipPhone) -> None:
    """RFC 3261 10.3 step 7 and 19.1.4."""
    await alice.register(contact="<sip:x@Example.Com;transport=udp>")
    answer = await alice.register(contact="<sip:x@example.com;transport=UDP>")
    assert len(contacts(answer)) == 1


async def test_address_of_record_is_compared_as_a_uri(alice: SipPhone) -> None:
    await alice.register(contact=f"<{there(1)}>")
    alice.uri = f"sip:{alice.user.replace('l', '%6C')}@{DOMAIN.upper()}:5060;transport=tcp"
    assert (await query(alice)).keys() == {there(1)}


async def test_gruu(nodes: Cluster, alice: SipPhone) -> None:
    phones = [
        SipPhone(alice.user, transport, node.address(transport), ca=node.ca, instance=INSTANCE.format(n))
        for n, (transport, node) in enumerate((("udp", nodes.a), ("tcp", nodes.a), ("tls", nodes.b)), 1)
    ]
    for phone in phones:
        await phone.open()
        answer = await phone.register()
        own = next(v for v in answer.values("Contact") if phone.instance in v.partition("pub-gruu")[0])
        gruu = re.search(r';pub-gruu="([^"]+)"', own)[1]
        assert f";gr={phone.instance}" in gruu
        request = alice.send_request("MESSAGE", gruu)
        arrived = await phone.expect_request("MESSAGE")
        phone.respond(arrived, 200)
        assert (await alice.expect_response(request)).status == 200
        assert ";gr=" not in arrived.uri, "RFC 5627 5.4: the Contact of the device takes its place"
    assert all(sum(m.method == "MESSAGE" for m in phone.received) == 1 for phone in phones)
    request = alice.send_request("MESSAGE", f"{alice.uri};gr={INSTANCE.format(7)}")
    assert (await alice.expect_response(request)).status in (404, 480)
    for phone in phones:
        await phone.close()


async def test_message_expires(nodes: Cluster, alice: SipPhone) -> None:
    """When the time for calls is over, messages still arrive; what goes for messages is asked first."""
    async with SipPhone(new_user("bob"), "udp", nodes.b.address("udp")) as bob:
        await bob.register(expires=2, parameters=";message-expires=600")

        async def serve() -> None:
            while True:
                bob.respond(await bob.expect_request("INFO"), 200)

        serving, status = asyncio.create_task(serve()), 200
        while status == 200:
            status = (await alice.expect_response(alice.send_request("INFO", bob.uri))).status
        assert status == 404
        serving.cancel()
        request = alice.send_request("MESSAGE", bob.uri)
        bob.respond(await bob.expect_request("MESSAGE"), 200)
        assert (await alice.expect_response(request)).status == 200


async def test_path_and_service_route(nodes: Cluster, alice: SipPhone) -> None:
    path = "<sip:127.0.0.1:9;lr;odd>"
    answer = await alice.register(fields=[("Path", path)])
    assert answer.all("Path") == [path]
    assert answer.all("Service-Route") == ["<sip:127.0.0.1:5099;lr>"]
    assert "path" in answer.values("Supported")


async def test_static_registration(nodes: Cluster) -> None:
    async with SipPhone(STATIC, "udp", nodes.b.address("udp")) as phone:
        assert f"sip:{STATIC}@127.0.0.1:9" in await query(phone)


async def test_registered_at_one_node_is_seen_at_the_other_at_once(nodes: Cluster, alice: SipPhone) -> None:
    async with SipPhone(alice.user, "udp", nodes.b.address("udp")) as elsewhere:
        for number in range(20):
            await alice.register(contact=f"<{there(number % 12)}>;expires={100 + number}")
            assert (await query(elsewhere))[there(number % 12)] == 100 + number
            elsewhere.forget(), alice.forget()
        elsewhere.register_cseq = 1000
        await elsewhere.register(contact="*", expires=0)
        assert await query(alice) == {}


async def test_second_flow_of_a_device_when_the_first_is_gone(nodes: Cluster, alice: SipPhone) -> None:
    user, instance = new_user("bob"), INSTANCE.format(5)
    first = SipPhone(user, "tcp", nodes.b.address("tcp"), instance=instance, reg_id=1)
    async with SipPhone(user, "tcp", nodes.a.address("tcp"), instance=instance, reg_id=2) as second:
        await second.register()
        await first.open()
        assert "outbound" in (await first.register()).values("Require")
        assert len(await query(second)) == 2
        request = alice.send_request("MESSAGE", first.uri)
        first.respond(await first.expect_request("MESSAGE"), 200)
        assert (await alice.expect_response(request)).status == 200
        await first.close()
        request = alice.send_request("MESSAGE", first.uri)
        second.respond(await second.expect_request("MESSAGE"), 200)
        assert (await alice.expect_response(request)).status == 200
        assert sum(m.method == "MESSAGE" for m in second.received) == 1


async def test_outbound_through_a_proxy_that_does_not_know_it(alice: SipPhone) -> None:
    alice.instance, alice.reg_id = INSTANCE.format(6), 1
    await alice.register(fields=[("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb")], status=439)
    rows = [("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKc"), ("Path", "<sip:t@127.0.0.1:9;lr;ob>")]
    await alice.register(fields=rows)


async def test_extension_that_is_required_and_not_known(alice: SipPhone) -> None:
    answer = await alice.register(fields=[("Require", "outbound, warp-drive")], status=420)
    assert answer.values("Unsupported") == ["warp-drive"]


async def test_header_fields_of_a_contact_are_not_sent(nodes: Cluster, alice: SipPhone) -> None:
    """RFC 3261 16.5 and 19.1.5: they are not allowed in a Request-URI."""
    async with SipPhone(new_user("bob"), "udp", nodes.a.address("udp")) as bob:
        await bob.register(contact=f"<{bob.contact};method=INVITE?Route=%3Csip:192.0.2.1%3E>")
        request = alice.send_request("MESSAGE", bob.uri)
        arrived = await bob.expect_request("MESSAGE")
        bob.respond(arrived, 200)
        assert arrived.uri == bob.contact
        await alice.expect_response(request)
