"""Which names mean this node, and which users it serves."""

from __future__ import annotations

import pytest

from node.identity import Identity
from node.transport.flow import Listener

LISTENERS = (
    Listener("udp", "127.0.0.1", 5060),
    Listener("tls", "127.0.0.1", 5061, advertise_host="sip.example.org"),
)


@pytest.fixture
def identity() -> Identity:
    return Identity("a", ("Example.org", "127.0.0.1"), LISTENERS)


@pytest.mark.parametrize(
    ("uri", "aor"),
    [
        (b"sip:bob@example.org", "bob@example.org"),
        (b"sip:bob@EXAMPLE.org:5060;transport=tcp", "bob@example.org"),
        (b"sips:bob@example.org", "bob@example.org"),
        (b"sip:%62ob@example.org", "bob@example.org"),
        (b"sip:bob@127.0.0.1", "bob@example.org"),
        (b"sip:bob@sip.example.org", "bob@sip.example.org"),
        (b"sip:bob@example.org:7777", None),
        (b"sip:bob@elsewhere.example", None),
        (b"sip:example.org", None),
        (b"tel:+123", None),
    ],
)
def test_addresses_of_record(identity, uri, aor):
    assert identity.aor(uri) == aor
    assert identity.aor(uri) == aor, "the cached answer differs"


@pytest.mark.parametrize(
    ("uri", "ours"),
    [
        (b"sip:127.0.0.1;lr", True),
        (b"sip:token@127.0.0.1:5060;transport=udp;lr", True),
        (b"sip:sip.example.org:5061;transport=tls;lr", True),
        (b"sip:example.org;lr", True),
        (b"sip:127.0.0.1:5099;lr", False),
        (b"sip:other.example;lr", False),
        (b"nonsense", False),
    ],
)
def test_route_values(identity, uri, ours):
    assert identity.names_us(uri) is ours


def test_any_domain():
    identity = Identity("a", ("*",), LISTENERS)
    assert identity.aor(b"sip:bob@wherever.example") == "bob@wherever.example"
    assert identity.serves("wherever.example")
