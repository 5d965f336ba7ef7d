"""Verification of JSON Web Tokens by PyJWT, remembered: a service sees each of them thousands of times."""

from __future__ import annotations

from typing import Any

import jwt


class TokenError(Exception):
    """A token that is malformed, or signed by nobody we know."""


class Verifier:
    """Signatures only; what the claims must say is each service's business."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._known: dict[tuple[str, str], dict[str, Any]] = {}

    def header(self, text: str) -> dict[str, Any]:
        """Of a token that may be anybody's. Raises TokenError."""
        try:
            found = jwt.get_unverified_header(text)
        except jwt.PyJWTError as error:
            raise TokenError(str(error)) from None
        if found.get("alg") != self._algorithm:
            raise TokenError(f"alg is {found.get('alg')}, not {self._algorithm}")
        return found

    def claims(self, text: str, key: Any, name: str) -> dict[str, Any]:
        """Of a token signed with the private half of the public `key` called `name`. Raises TokenError."""
        known = self._known.get((name, text))
        if known is not None:
            return known
        names = ("verify_exp", "verify_aud", "verify_iat", "verify_nbf", "verify_iss", "verify_sub")
        unread: Any = dict.fromkeys(names, False)
        try:
            found = jwt.decode(text, key, algorithms=[self._algorithm], options=unread)
        except jwt.PyJWTError as error:
            raise TokenError(str(error)) from None
        if len(self._known) > 10_000:
            self._known.clear()
        self._known[(name, text)] = found
        return found
