"""Encryption of a Web Push message for one browser (RFC 8291), in the coding aes128gcm (RFC 8188)."""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cluster.push.credentials.jwt import from_base64url
from cluster.push.credentials.keys import public_point
from cluster.push.providers.provider import Unsendable

RECORD = 4096  # bytes that every push service must take (RFC 8030 7.2)
OVERHEAD = 21 + 65 + 1 + 16  # header, our key, delimiter, tag
LARGEST = RECORD - OVERHEAD  # of the plain text


def encrypt(
    plain: bytes,
    p256dh: str,
    auth: str,
    own_key: ec.EllipticCurvePrivateKey | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> bytes:
    """The body of the request. `p256dh` and `auth` are those of the subscription, in base64url.

    `own_key` and `random` are new with each message; only tests give them. Raises Unsendable.
    """
    if len(plain) > LARGEST:
        raise Unsendable(f"the payload has {len(plain)} bytes, Web Push takes {LARGEST}")
    theirs, secret = _subscription(p256dh, auth)
    own_key = own_key or ec.generate_private_key(ec.SECP256R1())
    point, salt = public_point(own_key), random(16)
    shared = own_key.exchange(ec.ECDH(), theirs)
    their_point = from_base64url(p256dh)
    ikm = _hkdf(shared, secret, b"WebPush: info\0" + their_point + point, 32)
    key = _hkdf(ikm, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _hkdf(ikm, salt, b"Content-Encoding: nonce\0", 12)
    sealed = AESGCM(key).encrypt(nonce, plain + b"\x02", None)  # 2: the last record
    return salt + RECORD.to_bytes(4, "big") + bytes([len(point)]) + point + sealed


def _subscription(p256dh: str, auth: str) -> tuple[ec.EllipticCurvePublicKey, bytes]:
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(p256dh))
    except ValueError:
        raise Unsendable(
            "pn-p256dh is no P-256 key in base64url (PushSubscription.getKey('p256dh'))"
        ) from None
    try:
        secret = from_base64url(auth)
    except ValueError:
        secret = b""
    if len(secret) != 16:
        raise Unsendable("pn-auth is not 16 octets in base64url (PushSubscription.getKey('auth'))")
    return key, secret


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)
