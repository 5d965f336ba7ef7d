"""The keys and certificates of a stand-in, kept in its folder: started again there, it has the same."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """`ca` is the file that clients must trust."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca, key = folder / "ca.pem", folder / "ca.key"
        if key.exists():
            self._trust = trustme.CA.from_pem(self.ca.read_bytes(), key.read_bytes())
        else:
            self._trust = trustme.CA()
            self._trust.cert_pem.write_to_path(str(self.ca))
            self._trust.private_key_pem.write_to_path(str(key))

    def server_context(self, http1: bool, http2: bool, ask_for_certificate: bool) -> ssl.SSLContext:
        """For localhost and 127.0.0.1."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._trust.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        context.set_alpn_protocols([*(["h2"] if http2 else []), *(["http/1.1"] if http1 else [])])
        if ask_for_certificate:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self.ca)
        return context

    def client_context(self) -> ssl.SSLContext:
        """That trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.ca))

    def client_certificate(
        self, name: str, topics: tuple[str, ...], days: float = 30, user: str = ""
    ) -> Path:
        """A file with certificate and key as Apple issues them: UID is the bundle, `topics` all it serves."""
        path = self.folder / name
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        bundle = user or topics[0]
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.USER_ID, bundle),
                x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {bundle}"[:64]),
            ]
        )
        authority = x509.load_pem_x509_certificate(self._trust.cert_pem.bytes())
        signer = serialization.load_pem_private_key(self._trust.private_key_pem.bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.UnrecognizedExtension(TOPICS, topics_octets(topics)), critical=False)
            .sign(signer, hashes.SHA256())
        )
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + pem(key))
        return path

    def key(self, name: str, make: type[ec.EllipticCurvePrivateKey] | type[rsa.RSAPrivateKey]) -> PrivateKey:
        """The private key in that file, made at the first time."""
        path = self.folder / name
        if not path.exists():
            path.write_bytes(pem(new_key(make)))
        found = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(found, make)
        return found


TOPICS = x509.ObjectIdentifier("1.2.840.113635.100.6.3.6")


def new_key(make: type[ec.EllipticCurvePrivateKey] | type[rsa.RSAPrivateKey]) -> PrivateKey:
    if make is rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: PrivateKey) -> bytes:
    """PKCS#8, as Apple and Google give keys out."""
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def topics_octets(topics: tuple[str, ...]) -> bytes:
    """Apple's extension: a SEQUENCE of pairs of a UTF8String and a SEQUENCE of its kinds."""
    pairs = b""
    for topic in topics:
        kind = "voip" if topic.endswith(".voip") else "app"
        pairs += _der(0x0C, topic.encode()) + _der(0x30, _der(0x0C, kind.encode()))
    return _der(0x30, pairs)


def topics_of(der: bytes) -> set[str]:
    """What a certificate of `client_certificate` is good for."""
    certificate = x509.load_der_x509_certificate(der)
    found = {str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.USER_ID)}
    try:
        extension = certificate.extensions.get_extension_for_oid(TOPICS).value
    except x509.ExtensionNotFound:
        return found
    assert isinstance(extension, x509.UnrecognizedExtension)
    content = _content(extension.value)[0]
    while content:
        text, content = _content(content)
        found.add(text.decode())
        _, content = _content(content)
    return found


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def _content(octets: bytes) -> tuple[bytes, bytes]:
    """The content of the first element, and what comes after it."""
    size, start = octets[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(octets[2:start], "big")
    return octets[start : start + size], octets[start + size :]
