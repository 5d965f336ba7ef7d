"""Listening addresses, and what peers are told for them."""

import pytest

from node.transport.address import ListenAddress, parse_listen, shown_address, split_host
from node.transport.flow import Listener
from node.transport.transports import advertised


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("udp:127.0.0.1:5070", ("udp", "127.0.0.1", 5070)),
        ("tls:[::1]:5061", ("tls", "::1", 5061)),
        ("tls:0.0.0.0", ("tls", "0.0.0.0", 5061)),
        ("tcp:[2001:DB8:0::1]", ("tcp", "2001:db8::1", 5060)),
        ("udp:127.0.0.1:0", ("udp", "127.0.0.1", 0)),
    ],
)
def test_listen(text: str, expected: tuple) -> None:
    assert parse_listen(text) == ListenAddress(*expected)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("127.0.0.1:5060", "expected udp:, tcp: or tls:"),
        ("sctp:127.0.0.1:5060", "sctp"),
        ("udp:localhost:5060", "not an IP address"),
        ("udp:::1:5060", "brackets"),
        ("udp:[::1:5060", "expected \\[address\\]"),
        ("udp:127.0.0.1:port", "not a port"),
        ("udp:127.0.0.1:70000", "not a port"),
        ("udp:", "missing"),
        ("udp::5060", "missing"),
    ],
)
def test_listen_faults_are_named(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_listen(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip.example.com", ("sip.example.com", None)),
        ("sip.example.com:5080", ("sip.example.com", 5080)),
        ("::1", ("::1", None)),
        ("[::1]:5080", ("::1", 5080)),
        ("[::1]", ("::1", None)),
    ],
)
def test_split_host(text: str, expected: tuple) -> None:
    assert split_host(text) == expected


@pytest.mark.parametrize(
    ("advertise", "listen", "expected"),
    [
        ("", "udp:127.0.0.1:5060", ("127.0.0.1", 5060)),
        ("sip.example.com", "tls:127.0.0.1:5061", ("sip.example.com", 5061)),
        ("sip.example.com:5090", "udp:127.0.0.1:5060", ("sip.example.com", 5090)),
        ("sip.example.com:5090", "tls:127.0.0.1:5061", ("sip.example.com", 5061)),
        ("192.0.2.1", "udp:[::1]:5060", ("::1", 5060)),
        ("2001:db8::1", "udp:[::1]:5060", ("2001:db8::1", 5060)),
    ],
)
def test_advertised(advertise: str, listen: str, expected: tuple) -> None:
    address = parse_listen(listen)
    assert advertised(advertise, address, address.port) == expected


def test_a_wildcard_is_never_shown() -> None:
    assert shown_address("0.0.0.0") != "0.0.0.0"
    assert shown_address("::") != "::"


def test_listener_lines() -> None:
    listener = Listener("tls", "0.0.0.0", 5061, advertise_host="2001:db8::1", advertise_port=443)
    assert listener.via == b"Via: SIP/2.0/TLS [2001:db8::1]:443;branch="
    assert listener.sent_by == b"[2001:db8::1]:443"
    assert listener.uri == b"sip:[2001:db8::1]:443;transport=tls"
