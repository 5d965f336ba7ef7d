"""A Web Push service and the browser behind it: RFC 8030, RFC 8291 (decryption) and RFC 8292 (VAPID)."""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.standins.authority import new_key, pem
from tests.standins.exchange import Record, Refused, Reply, Request
from tests.standins.standin import Options, StandIn
from tests.standins.tokens import TokenError, Verifier

LARGEST = 4096  # octets, encrypted
DAY = 86_400
SLACK = 60  # s that clocks may differ
_VAPID = re.compile(r"vapid\s+(.+)", re.IGNORECASE)


class WebPushStandIn(StandIn):
    """Every subscription of `subscribe()` is restricted to the key in `vapid`, the application server's.

    A push that the service takes and the browser cannot decrypt is answered with 201 and stands in `refused`.
    """

    kind = "webpush"

    def __init__(self, folder: Path, port: int = 0, http2: bool = True) -> None:
        super().__init__(folder, port, http2)
        self.vapid = self.folder / "vapid.pem"
        private = self.authority.key(self.vapid.name, ec.EllipticCurvePrivateKey)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        self.application_key = base64url(point(private.public_key()))
        self._browsers: dict[str, tuple[ec.EllipticCurvePrivateKey, bytes]] = {}
        self._verifier = Verifier("ES256")

    def subscribe(self, name: str = "phone") -> dict[str, Any]:
        """What PushManager.subscribe gives a page: endpoint, keys.p256dh, keys.auth."""
        if name not in self._browsers:
            private = self.authority.key(f"browser-{name}.pem", ec.EllipticCurvePrivateKey)
            assert isinstance(private, ec.EllipticCurvePrivateKey)
            secret = point(private.public_key())[1:17]  # the same after a restart
            self._browsers[name] = private, secret
        private, secret = self._browsers[name]
        keys = {"p256dh": base64url(point(private.public_key())), "auth": base64url(secret)}
        return {"endpoint": f"{self.url}/push/{name}", "keys": keys}

    def other_key(self, name: str = "other_vapid.pem") -> Path:
        """A key that no subscription was made with."""
        path = self.folder / name
        path.write_bytes(pem(new_key(ec.EllipticCurvePrivateKey)))
        return path

    def more(self) -> dict[str, Any]:
        return {"subscription": self.subscribe(), "application_key": self.application_key}

    def options(self) -> Options:
        ours = {"key": str(self.vapid), "subject": "mailto:push@example.org", "hosts": ["localhost"]}
        return {"push": {"ca": self.ca}, "webpush": ours}

    def token_of(self, request: Request) -> str:
        """The endpoint."""
        return self.url + request.path

    def push(self, request: Request) -> tuple[Record, Reply]:
        headers, endpoint = request.headers, self.url + request.path
        browser = self._browsers.get(request.path.removeprefix("/push/"))
        if not request.path.startswith("/push/") or browser is None:
            raise _refuse(404, "no such subscription")
        if request.method != "POST":
            raise _refuse(405, "POST only")
        if endpoint in self.faults.refuse:
            raise _refuse(int(self.faults.refuse[endpoint]), "refused")
        if endpoint in self.faults.dead:
            raise _refuse(410, "push subscription has unsubscribed or expired")
        self._check_vapid(headers.get("authorization", ""))
        _check_headers(headers, request.body)
        told = uuid4().hex
        location = ("location", f"{self.url}/message/{told}")
        reply = Reply(201, (location, ("ttl", headers["ttl"])))
        return Record(endpoint, headers, _decrypted(request.body, *browser, reply), 201, id=told), reply

    def failure(self, request: Request, status: int, reason: str, where: str) -> tuple[Reply, str]:
        refused = _refuse(status, reason or f"status {status}")
        return refused.reply, refused.reason

    def _check_vapid(self, authorization: str) -> None:
        if not authorization:
            raise _refuse(401, "Authorization is missing")
        found = _VAPID.fullmatch(authorization)
        pairs = dict(part.strip().partition("=")[::2] for part in found[1].split(",")) if found else {}
        token, key = pairs.get("t", ""), pairs.get("k", "").rstrip("=")
        if not token or not key:
            raise _refuse(403, "no vapid authentication with t and k")
        if key != self.application_key:
            raise _refuse(403, "VAPID public key mismatch")
        try:
            self._verifier.header(token)
            public = ec.EllipticCurvePublicKey.from_encoded_point(
                ec.SECP256R1(), base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
            )
            claims = self._verifier.claims(token, public, key)
        except (TokenError, ValueError) as error:
            raise _refuse(403, f"invalid VAPID token: {error}") from None
        ends, now = claims.get("exp"), time.time()
        if claims.get("aud") != self.url:
            raise _refuse(403, f"aud is {claims.get('aud')}, not {self.url}")
        if not isinstance(ends, int | float) or not now - SLACK < ends <= now + DAY + SLACK:
            raise _refuse(403, "exp is over or more than 24 hours ahead")
        if not str(claims.get("sub", "")).startswith(("mailto:", "https:")):
            raise _refuse(403, "sub is neither mailto: nor https:")


def _check_headers(headers: dict[str, str], body: bytes) -> None:
    if not headers.get("ttl", "").isdecimal():
        raise _refuse(400, "TTL is missing or no number")
    if headers.get("urgency", "normal") not in ("very-low", "low", "normal", "high"):
        raise _refuse(400, "Urgency is not valid")
    if not re.fullmatch(r"[0-9A-Za-z_-]{1,32}", headers.get("topic", "t")):
        raise _refuse(400, "Topic is not valid")
    if len(body) > LARGEST:
        raise _refuse(413, "payload too large")
    if body and headers.get("content-encoding") != "aes128gcm":
        raise _refuse(400, "Content-Encoding must be aes128gcm")


def _decrypted(body: bytes, key: ec.EllipticCurvePrivateKey, secret: bytes, reply: Reply) -> Any:
    if not body:
        return None
    try:
        plain = http_ece.decrypt(body, private_key=key, auth_secret=secret, version="aes128gcm")
    except Exception as error:  # http_ece lets out whatever its parts raise
        raise Refused(reply, f"the browser cannot decrypt it: {error!r}") from None
    try:
        return json.loads(plain)
    except ValueError:
        return plain.decode("utf-8", "replace")


def _refuse(status: int, text: str) -> Refused:
    told: dict[str, Any] = {"code": status, "error": text, "message": text}
    return Refused(Reply.json(status, told), text)


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """65 octets, uncompressed."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
