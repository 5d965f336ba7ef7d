"""RFC 3263 over a dictionary of answers."""

import asyncio

import pytest

from node.resolve.locator import Destination, LocateError, Locator
from node.resolve.plan import Plan
from node.resolve.question import Answer, DnsError, Naptr, Question, Srv

A = "192.0.2.1"
B = "192.0.2.2"


class Dns:
    """Answers from a dictionary; everything else does not exist; `away` answers nothing."""

    def __init__(self, **zone: Answer) -> None:
        self.zone: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.away = False

    async def ask(self, question: Question) -> Answer:
        self.asked.append(f"{question.name} {question.kind}")
        await asyncio.sleep(0)
        if self.away:
            raise DnsError("away")
        return self.zone.get(f"{question.name} {question.kind}", Answer(30))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def dns() -> Dns:
    return Dns()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def locator(dns: Dns, clock: Clock) -> Locator:
    return Locator(dns, clock=clock, below=lambda n: 0)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (b"sip:bob@192.0.2.1", ("udp", A, 5060, A)),
        (b"sip:bob@192.0.2.1:5070", ("udp", A, 5070, A)),
        (b"sip:bob@192.0.2.1;transport=tcp", ("tcp", A, 5060, A)),
        (b"sip:bob@192.0.2.1;transport=TLS", ("tls", A, 5061, A)),
        (b"sips:bob@192.0.2.1", ("tls", A, 5061, A)),
        (b"sips:bob@192.0.2.1:5099;transport=tcp", ("tls", A, 5099, A)),
        (b"sip:bob@[2001:db8::9]:5070", ("udp", "2001:db8::9", 5070, "2001:db8::9")),
        (b"sip:bob@example.com;maddr=192.0.2.1", ("udp", A, 5060, A)),
    ],
)
def test_numeric_hosts_need_no_question(locator: Locator, dns: Dns, uri: bytes, expected: tuple) -> None:
    assert locator.locate_now(uri) == (Destination(*expected),)
    assert locator.locate_now(uri) == (Destination(*expected),)
    assert dns.asked == []


async def test_naptr_srv_and_addresses(locator: Locator, dns: Dns) -> None:
    dns.zone = {
        "example.com NAPTR": Answer(
            60,
            rules=(
                Naptr(50, 50, "s", "SIP+D2U", "_sip._udp.example.com"),
                Naptr(10, 50, "s", "SIPS+D2T", "_sips._tcp.example.com"),
                Naptr(5, 50, "s", "E2U+SIP", "other.example.com"),
            ),
        ),
        "_sips._tcp.example.com SRV": Answer(60, services=(Srv(1, 0, 5061, "a.example.com"),)),
        "_sip._udp.example.com SRV": Answer(60, services=(Srv(1, 0, 5062, "b.example.com"),)),
        "a.example.com A": Answer(60, (A,)),
        "b.example.com A": Answer(60, (B,)),
        "b.example.com AAAA": Answer(60, ("2001:db8::2",)),
    }
    expected = (
        Destination("tls", A, 5061, "example.com"),
        Destination("udp", B, 5062, "example.com"),
        Destination("udp", "2001:db8::2", 5062, "example.com"),
    )
    assert locator.locate_now(b"sip:bob@example.com") is None
    assert await locator.locate(b"sip:bob@example.com") == expected
    asked = len(dns.asked)
    assert locator.locate_now(b"sip:carol@Example.COM") == expected
    assert await locator.locate(b"sip:carol@example.com") == expected
    assert len(dns.asked) == asked


async def test_sips_never_goes_over_an_open_transport(locator: Locator, dns: Dns) -> None:
    dns.zone = {
        "example.com NAPTR": Answer(60, rules=(Naptr(1, 1, "s", "SIP+D2U", "_sip._udp.example.com"),)),
        "example.com A": Answer(60, (A,)),
    }
    assert await locator.locate(b"sips:bob@example.com") == (Destination("tls", A, 5061, "example.com"),)
    with pytest.raises(LocateError, match="udp"):
        await locator.locate(b"sips:bob@example.com;transport=udp")


async def test_without_naptr_all_our_transports_are_asked(locator: Locator, dns: Dns) -> None:
    dns.zone = {
        "_sip._tcp.example.com SRV": Answer(60, services=(Srv(1, 0, 5070, "a.example.com"),)),
        "a.example.com A": Answer(60, (A,)),
    }
    assert await locator.locate(b"sip:example.com") == (Destination("tcp", A, 5070, "example.com"),)
    assert "_sips._tcp.example.com SRV" in dns.asked


async def test_without_srv_the_name_itself(locator: Locator, dns: Dns) -> None:
    dns.zone = {"example.com A": Answer(60, (A,)), "example.com AAAA": Answer(60, ("2001:db8::1",))}
    assert await locator.locate(b"sip:example.com") == (
        Destination("udp", A, 5060, "example.com"),
        Destination("udp", "2001:db8::1", 5060, "example.com"),
    )
    assert await locator.locate(b"sip:example.com:5080") == (
        Destination("udp", A, 5080, "example.com"),
        Destination("udp", "2001:db8::1", 5080, "example.com"),
    )
    assert "example.com NAPTR" in dns.asked


async def test_explicit_port_asks_for_addresses_only(locator: Locator, dns: Dns) -> None:
    dns.zone = {"example.com A": Answer(60, (A,))}
    await locator.locate(b"sip:example.com:5080;transport=tls")
    assert dns.asked == ["example.com A", "example.com AAAA"]


async def test_a_service_that_does_not_exist(locator: Locator, dns: Dns) -> None:
    dns.zone = {
        "_sip._tcp.example.com SRV": Answer(60, services=(Srv(0, 0, 0, ""),)),
        "example.com A": Answer(60, (A,)),
    }
    with pytest.raises(LocateError) as error:
        await locator.locate(b"sip:example.com;transport=tcp")
    assert not error.value.temporary


async def test_unknown_name_is_final_and_silence_is_temporary(
    locator: Locator, dns: Dns, clock: Clock
) -> None:
    with pytest.raises(LocateError) as error:
        await locator.locate(b"sip:nobody.example")
    assert (error.value.name, error.value.temporary) == ("nobody.example", False)
    dns.away = True
    asked = len(dns.asked)
    with pytest.raises(LocateError) as error:
        await locator.locate(b"sip:nobody.example")
    assert not error.value.temporary, "known not to exist"
    assert len(dns.asked) == asked
    clock.now += 7200
    with pytest.raises(LocateError) as error:
        await locator.locate(b"sip:nobody.example")
    assert error.value.temporary


async def test_stale_answers_serve_while_dns_is_away(locator: Locator, dns: Dns, clock: Clock) -> None:
    dns.zone = {"example.com A": Answer(60, (A,)), "example.com AAAA": Answer(60)}
    found = await locator.locate(b"sip:example.com:5060")
    dns.away = True
    clock.now += 61
    assert locator.locate_now(b"sip:example.com:5060") is None
    assert await locator.locate(b"sip:example.com:5060") == found


async def test_each_question_is_asked_once_at_a_time(locator: Locator, dns: Dns) -> None:
    dns.zone = {"example.com A": Answer(60, (A,))}
    await asyncio.gather(*(locator.locate(b"sip:%d@example.com:5060" % n) for n in range(20)))
    assert sorted(dns.asked) == ["example.com A", "example.com AAAA"]


async def test_failed_destinations_come_last_for_a_while(locator: Locator, dns: Dns, clock: Clock) -> None:
    dns.zone = {"example.com A": Answer(3600, (A, B)), "example.com AAAA": Answer(3600)}
    first, second = await locator.locate(b"sip:example.com:5060")
    locator.failed(first)
    assert locator.locate_now(b"sip:example.com:5060") == (second, first)
    locator.failed(second)
    assert locator.locate_now(b"sip:example.com:5060") == (first, second)
    locator.answered(first)
    assert locator.locate_now(b"sip:example.com:5060") == (first, second)
    clock.now += 31
    locator.failed(first)
    assert locator.locate_now(b"sip:example.com:5060") == (second, first)


@pytest.mark.parametrize(
    "uri", [b"tel:+331234", b"mailto:a@b", b"sip:", b"garbage", b"sip:a@example.com;transport=sctp"]
)
async def test_what_leads_nowhere(locator: Locator, uri: bytes) -> None:
    assert locator.locate_now(uri) is None
    with pytest.raises(LocateError):
        await locator.locate(uri)


def test_weights_share_in_proportion() -> None:
    services = [Srv(10, 1, 1, "c"), Srv(1, 3, 1, "a"), Srv(1, 1, 1, "b"), Srv(1, 0, 1, "z")]
    draws: dict[str, int] = {}
    for drawn in range(5):
        order = Plan(("udp",), (4,), lambda n, drawn=drawn: min(drawn, n - 1)).ordered(services)
        draws[order[0].target] = draws.get(order[0].target, 0) + 1
        assert order[3].target == "c"
        assert {one.target for one in order} == {"a", "b", "c", "z"}
    assert draws == {"z": 1, "b": 1, "a": 3}


async def test_answers_are_bounded() -> None:
    from node.resolve.answers import Answers

    answers = Answers(limit=100)
    for number in range(1000):
        answers.put(Question(f"{number}.example.com", "A"), Answer(60), 0.0)
    assert len(answers._known) <= 100
    assert answers.get(Question("999.example.com", "A"), 1.0) == Answer(60)
