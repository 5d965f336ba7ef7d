"""Addresses in header fields."""

from __future__ import annotations

from types import ModuleType

import pytest

from node.sip.address import parse_address, parse_addresses
from node.sip.errors import ParseError


@pytest.mark.parametrize(
    ("value", "display", "uri", "params"),
    [
        (b"<sip:a@b>", "", b"sip:a@b", {}),
        (b'"A \\"B\\", C" <sip:a@b;x=y>;Q=0.5', 'A "B", C', b"sip:a@b;x=y", {"q": "0.5"}),
        (b"Alice Smith <sip:a@b> ; expires = 60", "Alice Smith", b"sip:a@b", {"expires": "60"}),
        (b"sip:a@b;q=0.5;ob", "", b"sip:a@b", {"q": "0.5", "ob": None}),
        (
            b'<sip:a@b>;+sip.instance="<urn:uuid:1>";reg-id=1',
            "",
            b"sip:a@b",
            {"+sip.instance": "<urn:uuid:1>", "reg-id": "1"},
        ),
    ],
)
def test_address(value: bytes, display: str, uri: bytes, params: dict[str, str | None]) -> None:
    address = parse_address(value)
    assert (address.display, address.uri, address.params, address.star) == (display, uri, params, False)


def test_star() -> None:
    assert parse_address(b" * ").star


MALFORMED = [b"", b"<>", b"<sip:a", b'"open <sip:a>', b"sip:a@b?x=y", b"<sip:a>;", b"<sip:a> x"]


@pytest.mark.parametrize("value", MALFORMED)
def test_malformed(value: bytes) -> None:
    with pytest.raises(ParseError, match="400 Malformed address"):
        parse_address(value)


def test_addresses_of_a_message(codec: ModuleType) -> None:
    raw = (
        b"REGISTER sip:b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\nFrom: <sip:a@b>;tag=1\r\n"
        b"To: <sip:b@c>\r\nCall-ID: c\r\n"
        b'CSeq: 1 REGISTER\r\nm: "x, y" <sip:1>;q=1, sip:2\r\nContact: <sip:3>\r\nPath: <sip:4\r\n\r\n'
    )
    message = codec.parse(raw)
    assert [address.uri for address in parse_addresses(message, "contact")] == [b"sip:1", b"sip:2", b"sip:3"]
    with pytest.raises(ParseError, match="400 Malformed Path header field") as caught:
        parse_addresses(message, "path")
    assert caught.value.message is message
