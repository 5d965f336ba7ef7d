"""Pushes, keys and certificates that the tests of the providers share."""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from cluster.push.http.message import HttpRequest, HttpResponse
from cluster.push.push import Push

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
TOKEN = "0123456789abcdef" * 4
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


def a_push(**changed: Any) -> Push:
    sample = Push(
        id="9a2f6d2e-0b57-4f0e-8a3c-6a6f1f2f9a01",
        provider="apns",
        app="org.example.app",
        token=TOKEN,
        kind="voip",
        event="call",
        created_at=int(NOW * 1000),
        expires_at=int(NOW * 1000) + 90_000,
        aor="bob@example.org",
        device="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>;reg-id=1",
        call_id="call-1@host",
        from_uri="sip:alice@example.org",
        from_name="Alice",
        from_tag="tag-1",
        to_uri="sip:bob@example.org",
        loc_key="IC_MSG",
        loc_args=("Alice",),
    )
    return msgspec.structs.replace(sample, **changed)


def headers(request: HttpRequest) -> dict[str, str]:
    found = dict(request.headers)
    assert len(found) == len(request.headers), "a header twice"
    return found


def said(status: int, body: Any = b"", **fields: str) -> HttpResponse:
    """An answer; a body that is no octets is JSON."""
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, {name.replace("_", "-"): value for name, value in fields.items()}, octets)


def pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def point(key: ec.EllipticCurvePrivateKey) -> str:
    octets = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def write(path: Path, content: bytes) -> str:
    """A new content by another file in its place, as tools that renew certificates do."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)
    return str(path)


def certificate(
    key: Any, ends: float, topic: str = "", topics: tuple[str, ...] = (), begins: float | None = None
) -> bytes:
    """Issued by itself, for `topic` (subject UID) and `topics` (Apple's extension)."""
    names = [x509.NameAttribute(NameOID.COMMON_NAME, "Apple Push Services")]
    if topic:
        names.append(x509.NameAttribute(NameOID.USER_ID, topic))
    name = x509.Name(names)
    end = datetime.fromtimestamp(ends, UTC)
    begin = end - timedelta(days=365) if begins is None else datetime.fromtimestamp(begins, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    if topics:
        rows = b"".join(_der(0x0C, t.encode()) + _der(0x30, _der(0x0C, b"app")) for t in topics)
        oid = x509.ObjectIdentifier("1.2.840.113635.100.6.3.6")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, _der(0x30, rows)), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def service_account(**changed: str) -> bytes:
    file = {
        "type": "service_account",
        "project_id": "example-app",
        "private_key_id": "key-1",
        "private_key": pem(RSA_KEY).decode(),
        "client_email": "push@example-app.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.example/token",
    }
    return json.dumps({**file, **changed}).encode()


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content
