"""STUN Binding requests on the SIP port (RFC 5626 4.4.2, RFC 8489): the keep-alive of phones on UDP.

Sans-IO. Only what a keep-alive needs: no authentication, so integrity attributes are read over; a request
with an attribute that must be understood and is not gets a 420.
"""

from __future__ import annotations

import ipaddress
import struct
import zlib
from typing import Final

COOKIE: Final = b"\x21\x12\xa4\x42"
BINDING_REQUEST: Final = 0x0001
BINDING_SUCCESS: Final = 0x0101
BINDING_ERROR: Final = 0x0111
ERROR_CODE: Final = 0x0009
UNKNOWN_ATTRIBUTES: Final = 0x000A
XOR_MAPPED_ADDRESS: Final = 0x0020
FINGERPRINT: Final = 0x8028
_FINGERPRINT_XOR: Final = 0x5354554E
# USERNAME, MESSAGE-INTEGRITY, REALM, NONCE, MESSAGE-INTEGRITY-SHA256, PASSWORD-ALGORITHM, USERHASH
_READ_OVER: Final = frozenset((0x0006, 0x0008, 0x0014, 0x0015, 0x001C, 0x001D, 0x001E))
_HEADER: Final = struct.Struct("!HH4s12s")
_ATTRIBUTE: Final = struct.Struct("!HH")


def is_stun(raw: bytes) -> bool:
    """True for a STUN message: two zero bits, the magic cookie and a length that fits."""
    return (
        len(raw) >= 20
        and raw[0] < 0x40
        and raw[4:8] == COOKIE
        and len(raw) % 4 == 0
        and int.from_bytes(raw[2:4], "big") == len(raw) - 20
    )


def answer(raw: bytes, host: str, port: int) -> bytes | None:
    """The answer to a STUN message that came from ``host``:``port``; None where silence is due."""
    kind, _, _, transaction = _HEADER.unpack_from(raw)
    found = attributes(raw)
    if kind != BINDING_REQUEST or found is None:
        return None
    fingerprint = found.get(FINGERPRINT)
    if fingerprint is not None and fingerprint != _fingerprint(raw[:-8]):
        return None
    unknown = [number for number in found if number < 0x8000 and number not in _READ_OVER]
    if unknown:
        listed = struct.pack(f"!{len(unknown)}H", *unknown)
        body = attribute(ERROR_CODE, b"\x00\x00\x04\x14Unknown Attribute")
        body += attribute(UNKNOWN_ATTRIBUTES, listed)
        return message(BINDING_ERROR, transaction, body, fingerprint is not None)
    body = attribute(XOR_MAPPED_ADDRESS, xor_address(host, port, transaction))
    return message(BINDING_SUCCESS, transaction, body, fingerprint is not None)


def attributes(raw: bytes) -> dict[int, bytes] | None:
    """Attribute values by number, the first of each; None if they do not fit the message."""
    found: dict[int, bytes] = {}
    at = _HEADER.size
    while at < len(raw):
        if at + 4 > len(raw):
            return None
        number, length = _ATTRIBUTE.unpack_from(raw, at)
        if at + 4 + length > len(raw):
            return None
        found.setdefault(number, raw[at + 4 : at + 4 + length])
        at += 4 + length + -length % 4
        if number == FINGERPRINT:  # always the last
            return found if at == len(raw) and length == 4 else None
    return found


def attribute(number: int, value: bytes) -> bytes:
    """One attribute, padded to four octets."""
    return _ATTRIBUTE.pack(number, len(value)) + value + bytes(-len(value) % 4)


def message(kind: int, transaction: bytes, body: bytes, fingerprint: bool = False) -> bytes:
    """A whole STUN message around encoded attributes."""
    whole = _HEADER.pack(kind, len(body) + (8 if fingerprint else 0), COOKIE, transaction) + body
    return whole + attribute(FINGERPRINT, _fingerprint(whole)) if fingerprint else whole


def xor_address(host: str, port: int, transaction: bytes) -> bytes:
    """Value of XOR-MAPPED-ADDRESS (RFC 8489 14.2)."""
    packed = ipaddress.ip_address(host).packed
    mask = COOKIE + transaction
    mixed = bytes(octet ^ key for octet, key in zip(packed, mask, strict=False))
    return struct.pack("!xBH", 1 if len(packed) == 4 else 2, port ^ 0x2112) + mixed


def _fingerprint(before: bytes) -> bytes:
    return struct.pack("!I", zlib.crc32(before) ^ _FINGERPRINT_XOR)
