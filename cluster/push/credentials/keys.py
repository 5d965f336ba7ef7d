"""Private keys in PEM."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from cluster.push.credentials.watched import CredentialError


def private_key(content: bytes) -> PrivateKeyTypes:
    """Raises CredentialError."""
    if b"PRIVATE KEY-----" not in content:
        raise CredentialError("holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")
    try:
        return load_pem_private_key(content, None)
    except TypeError:
        raise CredentialError("is protected by a password: store it without one (openssl pkey)") from None
    except (ValueError, UnsupportedAlgorithm):
        raise CredentialError("holds a private key that cannot be decoded: fetch it again") from None


def p256_key(content: bytes) -> ec.EllipticCurvePrivateKey:
    """A key for ES256. Raises CredentialError."""
    key = private_key(content)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CredentialError("is not a P-256 key, which this service demands: fetch or make another")
    return key


def rsa_key(content: bytes) -> rsa.RSAPrivateKey:
    """A key for RS256. Raises CredentialError."""
    key = private_key(content)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CredentialError("is not an RSA key, which this service demands: fetch another")
    return key


def public_octets(key: PrivateKeyTypes) -> bytes:
    """The public half, to be compared with that of a certificate."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def public_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """65 octets, uncompressed (RFC 8292 3.2)."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
