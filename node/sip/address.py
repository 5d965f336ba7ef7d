"""Addresses in header fields: Contact, Route, Path, From and their like (RFC 3261 20.10, 25.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from node.sip.errors import ParseError
from node.sip.grammar import PARAMS, QUOTED, TOKEN, WHITE, WS, params_in

if TYPE_CHECKING:
    from node.sip.message import Message

_NAME_ADDR = re.compile(rb'((?:[^"<;]++|' + QUOTED + rb")*)<([^<>\"]*+)>" + WS + PARAMS, re.S)
_ADDR_SPEC = re.compile(WS + rb'()([^ \t\r\n;,?"<>]++)' + WS + PARAMS, re.S)
# The usual one: no display name, no white space, no escapes; and its parameters.
_PLAIN = re.compile(
    rb'<([^<>" \t\r\n]++)>((?:;' + TOKEN + rb'(?:=(?:"[^"\\]*+"|[^ \t\r\n;,"]*+))?)*+)'
).fullmatch
_PLAIN_PARAMS = re.compile(r';([^=;]++)(=?)(?:"([^"]*+)"|([^;]*+))').findall
_ESCAPED = re.compile(r"\\(.)", re.S)


class Address(NamedTuple):
    """One name-addr or addr-spec with its header parameters.

    ``display`` is unquoted, ``uri`` as written between the brackets, ``params`` maps lower-case names to
    values with their quotes removed (None without "="). ``star`` is the Contact ``*`` (then ``uri`` is
    empty).
    """

    display: str
    uri: bytes
    params: dict[str, str | None]
    star: bool = False


def parse_address(value: bytes, name: str = "address") -> Address:
    """One value, as ``Message.values()`` or ``first()`` gives it. Raises ParseError 400 naming ``name``."""
    plain = _PLAIN(value)
    if plain is not None:
        uri, rest = plain.groups()
        return Address("", uri, _plain_params(rest.decode(errors="surrogateescape")) if rest else {})
    if value.strip(WHITE) == b"*":
        return Address("", b"", {}, star=True)
    found = _NAME_ADDR.fullmatch(value) or _ADDR_SPEC.fullmatch(value)
    uri = found[2].strip(WHITE) if found else b""
    if not found or not uri:
        raise ParseError(400, f"Malformed {name} header field" if name != "address" else "Malformed address")
    params: dict[str, str | None] = {}
    for param in params_in(value, found.start(3)):
        text = None if param[2] is None else unquote(param[2].decode(errors="surrogateescape"))
        params.setdefault(param[1].decode().lower(), text)
    return Address(unquote(found[1].strip(WHITE).decode(errors="surrogateescape")), uri, params)


def _plain_params(text: str) -> dict[str, str | None]:
    params: dict[str, str | None] = {}
    for name, equals, quoted, value in _PLAIN_PARAMS(text):
        params.setdefault(name.lower(), (quoted or value) if equals else None)
    return params


def parse_addresses(message: Message, name: str) -> list[Address]:
    """Every value of a header field, in order. Raises ParseError 400 that can be answered."""
    try:
        shown = "-".join(part.capitalize() for part in name.split("-"))
        return [parse_address(value, shown) for value in message.values(name)]
    except ParseError as refusal:
        if message.is_request and message.method != "ACK":
            refusal.message = message
        raise


def unquote(text: str) -> str:
    """A quoted-string without its quotes and escapes; any other text as it is."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return _ESCAPED.sub(r"\1", text[1:-1])
    return text
