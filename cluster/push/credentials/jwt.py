"""JSON Web Tokens (RFC 7519) signed with ES256 or RS256."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

_json = msgspec.json.encode


def base64url(octets: bytes) -> str:
    """Without padding (RFC 7515 2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The reverse, with or without padding, and of the ordinary alphabet too. Raises ValueError."""
    plain = text.rstrip("=").replace("+", "-").replace("/", "_")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)


def es256(header: Mapping[str, str], claims: Mapping[str, object], key: ec.EllipticCurvePrivateKey) -> str:
    """Signed with a P-256 key; the signature is r and s, 32 octets each (RFC 7518 3.4)."""
    signing = _signing_input({"alg": "ES256", **header}, claims)
    r, s = decode_dss_signature(key.sign(signing, ec.ECDSA(hashes.SHA256())))
    return f"{signing.decode()}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def rs256(header: Mapping[str, str], claims: Mapping[str, object], key: rsa.RSAPrivateKey) -> str:
    """Signed with an RSA key (RFC 7518 3.3)."""
    signing = _signing_input({"alg": "RS256", **header}, claims)
    return f"{signing.decode()}.{base64url(key.sign(signing, padding.PKCS1v15(), hashes.SHA256()))}"


def _signing_input(header: Mapping[str, str], claims: Mapping[str, object]) -> bytes:
    return f"{base64url(_json(header))}.{base64url(_json(claims))}".encode()
