"""SIP, SIPS and tel URIs."""

from __future__ import annotations

import pytest

from node.sip.errors import ParseError
from node.sip.uri import equivalent, parse_uri


def test_parts() -> None:
    uri = parse_uri(b"SIP:Alice%20B:pw@[2001:DB8::1]:5070;transport=TCP;lr;X-Y=%41?Subject=hi&Route=a")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == (
        "sip",
        "Alice%20B",
        "pw",
        "2001:db8::1",
        5070,
    )
    assert uri.params == {"transport": "TCP", "lr": None, "x-y": "%41"}
    assert uri.headers == "Subject=hi&Route=a"
    assert uri.transport == "tcp"
    assert uri.aor == "Alice B@2001:db8::1"
    assert str(uri).startswith("SIP:Alice%20B")


@pytest.mark.parametrize(
    ("raw", "aor"),
    [
        (b"sip:bob@Example.COM", "bob@example.com"),
        (b"sips:bob@example.com:5061;x=y", "bob@example.com"),
        (b"sip:%62ob@example.com", "bob@example.com"),
        (b"sip:example.com", "example.com"),
        (b"sip:user;par=u%40example.net@example.com", "user;par=u@example.net@example.com"),
        (b"sip:a?b@example.com?x=y", "a?b@example.com"),
        (b"tel:+1-201-555-0123;phone-context=x", "+12015550123"),
        (b"sip:\xc3\xa4@example.com", "\u00e4@example.com"),
    ],
)
def test_address_of_record(raw: bytes, aor: str) -> None:
    assert parse_uri(raw).aor == aor


def test_octets_that_are_not_utf8_survive() -> None:
    assert str(parse_uri(b"sip:\xff@example.com")).encode(errors="surrogateescape") == b"sip:\xff@example.com"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"sip",
        b"sip:",
        b"sip:@h",
        b"sip:2001:db8::10",
        b"sip:h:port",
        b"sip:h:65536",
        b"sip:a@b@c",
        b"sip:a b@c",
        b"sip:h;;x",
        b"sip:a%zz@h",
        b"tel:",
        b"tel:alice",
        b"<sip:a@b>",
        b"sip:a@h:5060:1",
        b"sip:[::1",
    ],
)
def test_syntax_that_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse_uri(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "raw", [b"http://example.com", b"urn:service:sos", b"nobodyKnowsThisScheme:totallyopaque"]
)
def test_scheme_that_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        parse_uri(raw)
    assert (caught.value.status, caught.value.reason) == (416, "Unsupported URI Scheme")


def test_params_set_and_dropped() -> None:
    uri = parse_uri(b"sip:a;b@h;lr;Transport=tcp?x=y")
    assert str(uri.with_params(ob=None, transport="udp")) == "sip:a;b@h;lr;transport=udp;ob?x=y"
    assert str(uri.without_params(["lr", "TRANSPORT"])) == "sip:a;b@h?x=y"
    assert uri.without_params(["absent"]) is uri


@pytest.mark.parametrize(
    ("a", "b"),
    [  # RFC 3261 19.1.4
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=a%20b&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=a%20b",
        ),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
    ],
)
def test_equivalent(a: str, b: str) -> None:
    assert equivalent(parse_uri(a.encode()), parse_uri(b.encode()))
    assert equivalent(parse_uri(b.encode()), parse_uri(a.encode()))


@pytest.mark.parametrize(
    ("a", "b"),
    [  # RFC 3261 19.1.4
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b", "sips:a@b"),
    ],
)
def test_not_equivalent(a: str, b: str) -> None:
    assert not equivalent(parse_uri(a.encode()), parse_uri(b.encode()))
    assert not equivalent(parse_uri(b.encode()), parse_uri(a.encode()))


def test_cache_is_bounded() -> None:
    from node.sip import uri

    for number in range(uri._CACHE_SIZE + 100):
        parse_uri(b"sip:%d@example.com" % number)
    assert len(uri._cache) == uri._CACHE_SIZE
