"""The token by which Apple knows us: signed with the .p8 key, good for an hour."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec

from cluster.push.credentials.jwt import es256
from cluster.push.credentials.keys import p256_key
from cluster.push.credentials.watched import Watched
from cluster.push.settings import ApnsApp

RENEW = 40 * 60.0  # s; Apple refuses it after an hour
SOONEST = 20 * 60.0  # s; who renews it more often is refused too
UNDER_WAY = 10.0  # s after a renewal that an answer may still be of the old one


class ProviderToken:
    """One for each key: apps that share a key must share the token, or Apple counts too many of them."""

    def __init__(self, app: ApnsApp, option: str, clock: Callable[[], float]) -> None:
        self.option = option
        self._key: Watched[ec.EllipticCurvePrivateKey] = Watched(app.key, option, p256_key, clock)
        self._names = (app.team, app.key_id)
        self._text = ""
        self._made_at = float("-inf")
        self._version = 0
        self._refused = False
        self._renewed_at = float("-inf")  # after a refusal

    @property
    def problem(self) -> str:
        """What is wrong with the key file now, although an older content may still serve."""
        return self._key.problem

    def read(self) -> None:
        """Looks whether there is a key. Raises CredentialError."""
        self._key.read()

    def look(self) -> None:
        self._key.look()

    def text(self, now: float) -> str:
        """The token to send with. Raises CredentialError."""
        key = self._key.read()
        age = now - self._made_at
        # A clock that was set back makes the age negative: Apple would refuse a token of the future.
        if age >= RENEW or age < 0 or self._refused or self._version != self._key.version:
            team, key_id = self._names
            self._text = es256({"kid": key_id}, {"iss": team, "iat": int(now)}, key)
            if self._refused:
                self._renewed_at = now
            self._made_at, self._version, self._refused = now, self._key.version, False
        return self._text

    def expired(self, now: float) -> bool:
        """Apple finds it expired. Whether another may be made: not within 20 minutes of the last."""
        if now - self._made_at < SOONEST:
            return now - self._renewed_at < UNDER_WAY  # sent with the old one, perhaps
        self._refused = True
        return True
