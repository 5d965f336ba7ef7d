"""Client certificates: when they end, and for which apps Apple issued them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from cluster.push.credentials.keys import private_key, public_octets
from cluster.push.credentials.watched import CredentialError, Watched

SOON = 30 * 86_400.0  # s before its end that a certificate is announced
_TOPICS = x509.ObjectIdentifier("1.2.840.113635.100.6.3.6")  # Apple: the topics of a universal certificate
_SEQUENCE, _UTF8 = 0x30, 0x0C


class Certificate(msgspec.Struct, frozen=True):
    """What a certificate says. Times are seconds since 1970."""

    begins: float
    ends: float
    topics: frozenset[str]  # bundle identifiers with suffix; empty if it does not say
    public: bytes


class ClientCertificate:
    """A certificate file and the file of its private key, which may be the same."""

    def __init__(self, cert: str, key: str, option: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`option` names `cert`; an empty `key` means that `cert` holds it."""
        self.option = option
        self.cert, self.key = cert, key or cert
        self._cert = Watched(cert, option, parse_certificate, clock)
        key_option = option.rpartition(" ")[0] + " cert_key" if key else option
        self._key = Watched(self.key, key_option, lambda octets: public_octets(private_key(octets)), clock)

    def problem(self, topic: str, now: float) -> str:
        """Why pushes to `topic` cannot be sent with it; "" if they can."""
        try:
            cert, public = self._cert.read(), self._key.read()
        except CredentialError as error:
            return str(error)
        if now >= cert.ends:
            return (
                f"{self.option}: {self.cert} expired on {_day(cert.ends)}: replace it, no restart is needed"
            )
        if now < cert.begins:
            return f"{self.option}: {self.cert} is valid from {_day(cert.begins)} on: check this host's clock"
        if cert.public != public:
            return (
                f"{self.option}: the private key in {self.key} does not belong to {self.cert}: set cert_key"
            )
        if cert.topics and topic not in cert.topics:
            issued = ", ".join(sorted(cert.topics))
            return f"{self.option}: {self.cert} is for {issued}, not for {topic}: get one for {topic}"
        return ""

    def warning(self, now: float) -> str:
        """What the operator must do soon although it works now."""
        for file in (self._cert, self._key):
            if file.problem:
                return file.problem
        ends = self._cert.read().ends
        if now < ends < now + SOON:
            days = int((ends - now) // 86_400)
            return f"{self.option}: {self.cert} expires on {_day(ends)}, in {days} days: replace it before"
        return ""

    def look(self) -> None:
        """Reads the files again if they changed."""
        self._cert.look()
        self._key.look()


def parse_certificate(content: bytes) -> Certificate:
    """The first certificate of a PEM file. Raises CredentialError."""
    try:
        cert = x509.load_pem_x509_certificate(content)
    except ValueError:
        raise CredentialError("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)") from None
    public = cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Certificate(
        cert.not_valid_before_utc.timestamp(), cert.not_valid_after_utc.timestamp(), _topics(cert), public
    )


def _topics(cert: x509.Certificate) -> frozenset[str]:
    named = {str(name.value) for name in cert.subject.get_attributes_for_oid(NameOID.USER_ID)}
    try:
        extension = cert.extensions.get_extension_for_oid(_TOPICS).value
    except (x509.ExtensionNotFound, ValueError):
        return frozenset(named)
    if isinstance(extension, x509.UnrecognizedExtension):
        for tag, octets in _elements(extension.value):
            if tag == _SEQUENCE:  # topic, [kinds], topic, [kinds], ...
                named.update(
                    text.decode("utf-8", "replace") for tag, text in _elements(octets) if tag == _UTF8
                )
    return frozenset(named)


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and contents of the DER elements in a row; ends at the first that is cut off."""
    at = 0
    while at + 2 <= len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size & 0x80:
            more = size & 0x7F
            size = int.from_bytes(der[at : at + more], "big")
            at += more
        if at + size > len(der):
            return
        yield tag, der[at : at + size]
        at += size


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
