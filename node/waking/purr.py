"""Proxy unique registration references (RFC 8599 6): `pn-purr` names a binding to us, and nothing to others.

A word is AES-SIV of "aor LF device" under the cluster's secret, so that every node reads it, the same
binding always has the same word, and nobody can make one up.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

LONGEST = 2048


class Purr:
    """Makes and reads references under one key (any length)."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(hashlib.sha512(b"purr" + key).digest())

    def make(self, aor: str, device: str) -> str:
        """The reference of a binding; its signs are allowed in a URI parameter."""
        sealed = self._cipher.encrypt(f"{aor}\n{device}".encode(), None)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, text: str) -> tuple[str, str] | None:
        """Address of record and device of a reference; None for what is none of ours."""
        if not text or len(text) > LONGEST:
            return None
        try:
            sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            aor, _, device = self._cipher.decrypt(sealed, None).decode().partition("\n")
        except (ValueError, InvalidTag):
            return None
        return aor, device
