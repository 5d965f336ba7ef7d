"""The STUN codec: header, attributes, addresses and FINGERPRINT (RFC 8489 5, 14). Pure functions."""

from __future__ import annotations

import ipaddress
import struct
import zlib
from enum import IntEnum
from typing import Final, NamedTuple

from relay.address import Address

COOKIE: Final = b"\x21\x12\xa4\x42"
HEADER: Final = struct.Struct("!HH4s12s")
BINDING: Final = 0x001
_FINGERPRINT_XOR: Final = 0x5354554E
_MOST: Final = 64  # attributes


class Class(IntEnum):
    REQUEST = 0
    INDICATION = 1
    SUCCESS = 2
    ERROR = 3


class Attribute(IntEnum):
    """Attributes that are spoken of here. Below 0x8000 a receiver must understand them."""

    MAPPED_ADDRESS = 0x0001
    CHANGE_REQUEST = 0x0003
    SOURCE_ADDRESS = 0x0004  # RFC 3489
    CHANGED_ADDRESS = 0x0005  # RFC 3489
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    REALM = 0x0014
    NONCE = 0x0015
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    PASSWORD_ALGORITHM = 0x001D
    USERHASH = 0x001E
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    PADDING = 0x0026
    RESPONSE_PORT = 0x0027
    SOFTWARE = 0x8022
    FINGERPRINT = 0x8028
    RESPONSE_ORIGIN = 0x802B
    OTHER_ADDRESS = 0x802C


class Malformed(ValueError):
    """These octets are no STUN message."""


class Message(NamedTuple):
    """A decoded message. `classic` for one without the magic cookie (RFC 3489)."""

    kind: Class
    method: int
    transaction: bytes  # 12 octets, 16 of a classic one
    attributes: tuple[tuple[int, bytes], ...]
    classic: bool
    fingerprinted: bool  # a FINGERPRINT was there, and right

    def value(self, attribute: int) -> bytes | None:
        """The value of the first attribute of this number."""
        return next((value for number, value in self.attributes if number == attribute), None)


def looks_like_stun(data: bytes) -> bool:
    """By the header alone: two zero bits and a length that fits what is there. Classic ones count too."""
    return len(data) >= 20 and data[0] < 0x40 and int.from_bytes(data[2:4], "big") == len(data) - 20


def decode(data: bytes) -> Message:
    """Read a whole message. Malformed for anything else, and for a FINGERPRINT that is wrong."""
    if not looks_like_stun(data) or len(data) % 4:
        raise Malformed("no STUN message")
    word, _, cookie, transaction = HEADER.unpack_from(data)
    classic = cookie != COOKIE
    attributes: list[tuple[int, bytes]] = []
    fingerprinted, at = False, HEADER.size
    while at < len(data):
        if len(data) - at < 4 or len(attributes) >= _MOST or fingerprinted:
            raise Malformed("attributes do not fit")
        number, length = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + length]
        if len(value) != length or len(data) < at + 4 + length + -length % 4:
            raise Malformed("an attribute is longer than the message")
        attributes.append((number, value))
        if number == Attribute.FINGERPRINT and not classic:
            if value != fingerprint(data[:at]):
                raise Malformed("wrong fingerprint")
            fingerprinted = True
        at += 4 + length + -length % 4
    kind = Class((word >> 7 & 2) | (word >> 4 & 1))
    method = (word & 0xF) | (word >> 1 & 0x70) | (word >> 2 & 0xF80)
    return Message(
        kind, method, data[4:20] if classic else transaction, tuple(attributes), classic, fingerprinted
    )


def encode(kind: Class, method: int, transaction: bytes, body: bytes, *, sign: bool = False) -> bytes:
    """A whole message around encoded attributes; `sign` adds a FINGERPRINT.

    A `transaction` of 16 octets makes a classic message (RFC 3489).
    """
    word = (method & 0xF) | (method & 0x70) << 1 | (method & 0xF80) << 2 | (kind & 1) << 4 | (kind & 2) << 7
    start = struct.pack("!HH", word, len(body) + 8 * sign)
    whole = start + (transaction if len(transaction) == 16 else COOKIE + transaction) + body
    return whole + attribute(Attribute.FINGERPRINT, fingerprint(whole)) if sign else whole


def attribute(number: int, value: bytes) -> bytes:
    """One attribute, padded to four octets."""
    return struct.pack("!HH", number, len(value)) + value + bytes(-len(value) % 4)


def fingerprint(before: bytes) -> bytes:
    """The value of FINGERPRINT after these octets, whose header already counts it."""
    return struct.pack("!I", zlib.crc32(before) ^ _FINGERPRINT_XOR)


def address_value(address: Address) -> bytes:
    """The value of MAPPED-ADDRESS and its kin."""
    packed = ipaddress.ip_address(address.host).packed
    return struct.pack("!xBH", 1 if len(packed) == 4 else 2, address.port) + packed


def xor_address_value(address: Address, transaction: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS."""
    return _mixed(address_value(address), transaction)


def read_address(value: bytes, transaction: bytes = b"") -> Address:
    """The address in an attribute; with `transaction` of one that is XORed. Malformed if there is none."""
    if len(value) not in (8, 20) or value[1] != (1 if len(value) == 8 else 2):
        raise Malformed("no address")
    plain = _mixed(value, transaction) if transaction else value
    return Address(str(ipaddress.ip_address(plain[4:])), int.from_bytes(plain[2:4], "big"))


def _mixed(value: bytes, transaction: bytes) -> bytes:
    mask = COOKIE[:2] + COOKIE + transaction
    return value[:2] + bytes(one ^ key for one, key in zip(value[2:], mask, strict=False))
