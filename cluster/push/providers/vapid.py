"""Who we are to the push services of browsers (RFC 8292)."""

from __future__ import annotations

import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec

from cluster.push.credentials.jwt import base64url, es256
from cluster.push.credentials.keys import p256_key, public_point
from cluster.push.credentials.watched import CredentialError, Watched

LIFE = 12 * 3600  # s; 24 h at most
RENEW = 6 * 3600  # s
REMEMBERED = 1000  # origins


class Vapid:
    """Our key pair, and one signed token for each push service."""

    def __init__(self, key: str, subject: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.option = "[webpush] key"
        self._set = bool(key)
        self._subject = subject
        self._file: Watched[ec.EllipticCurvePrivateKey] = Watched(key, self.option, p256_key, clock)
        self._tokens: dict[str, tuple[float, str]] = {}  # origin -> made at, header
        self._version = 0

    def problem(self, latest: bool = False) -> str:
        """Why it cannot be used; with `latest` also why a new file is not used instead of the old."""
        if not self._set:
            return (
                "[webpush] has no key: add the PEM file of a P-256 key (openssl genpkey -algorithm EC "
                "-pkeyopt ec_paramgen_curve:P-256)"
            )
        if not self._subject.startswith(("mailto:", "https:")):
            return "[webpush] has no subject: add mailto:you@example.org, whom a push service may contact"
        try:
            self._file.read()
        except CredentialError as error:
            return str(error)
        return self._file.problem if latest else ""

    def public(self) -> str:
        """The key that apps subscribe with (applicationServerKey), base64url. Raises CredentialError."""
        return base64url(public_point(self._file.read()))

    def authorization(self, origin: str, now: float) -> str:
        """The header for a push service. Raises CredentialError."""
        key = self._file.read()
        if self._version != self._file.version:
            self._version = self._file.version
            self._tokens.clear()
        made_at, text = self._tokens.get(origin, (float("-inf"), ""))
        if not 0 <= now - made_at < RENEW:
            claims = {"aud": origin, "exp": int(now) + LIFE, "sub": self._subject}
            text = f"vapid t={es256({'typ': 'JWT'}, claims, key)}, k={base64url(public_point(key))}"
            self._tokens[origin] = now, text
            if len(self._tokens) > REMEMBERED:
                del self._tokens[next(iter(self._tokens))]
        return text

    def forget(self, origin: str) -> None:
        """A push service refused it: the next is made anew."""
        self._tokens.pop(origin, None)

    def look(self) -> None:
        if self._set:
            self._file.look()
