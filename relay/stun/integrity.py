"""MESSAGE-INTEGRITY of STUN messages (RFC 8489 14.5, 14.6): what clients check; our server needs none."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final

from relay.stun.message import HEADER, Attribute

_SHA1_SIZE: Final = 20
_SHA256_SIZE: Final = 32


def short_term_key(password: str) -> bytes:
    """The key of a short-term credential. The password is taken as OpaqueString prepares plain ones."""
    return password.encode()


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """The MD5 key of a long-term credential."""
    return hashlib.md5(f"{username}:{realm}:{password}".encode(), usedforsecurity=False).digest()


def integrity(before: bytes, key: bytes, *, sha256: bool = False) -> bytes:
    """The value of MESSAGE-INTEGRITY(-SHA256) after the octets `before` of a message."""
    size = _SHA256_SIZE if sha256 else _SHA1_SIZE
    counted = before[:2] + struct.pack("!H", len(before) - HEADER.size + 4 + size) + before[4:]
    return hmac.digest(key, counted, "sha256" if sha256 else "sha1")


def is_genuine(data: bytes, key: bytes) -> bool:
    """Whether the integrity attribute of a whole message is there and right; the stronger one counts."""
    at, found = HEADER.size, False
    while at + 4 <= len(data):
        number, length = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + length]
        if number == Attribute.MESSAGE_INTEGRITY_SHA256:
            whole = integrity(data[:at], key, sha256=True)
            return 16 <= length <= len(whole) and hmac.compare_digest(value, whole[:length])
        if number == Attribute.MESSAGE_INTEGRITY and not found:
            found = hmac.compare_digest(value, integrity(data[:at], key))
        at += 4 + length + -length % 4
    return found
