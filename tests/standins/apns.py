"""Apple Push Notification service, as "Sending notification requests to APNs", "Handling notification
responses from APNs" and "Establishing a token-based connection to APNs" (developer.apple.com) describe it.

HTTP/2 only. Where Apple's servers take a push and the device drops it silently (a background push without
content-available), the stand-in refuses with the nearest reason, for a test must not pass with such a push.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec

from tests.standins.apns_rules import PATH, check_headers, check_payload, check_topic, refuse
from tests.standins.authority import new_key, pem, topics_of
from tests.standins.exchange import Record, Refused, Reply, Request
from tests.standins.standin import Options, StandIn
from tests.standins.tokens import TokenError, Verifier

STATUSES = {"Unregistered": 410, "ExpiredToken": 410, "PayloadTooLarge": 413, "TooManyRequests": 429}
STATUSES |= {"TooManyProviderTokenUpdates": 429, "InternalServerError": 500, "ServiceUnavailable": 503}
STATUSES |= {"Shutdown": 503, "BadPath": 404, "MethodNotAllowed": 405}
STATUSES |= dict.fromkeys(
    (
        "BadCertificate",
        "BadCertificateEnvironment",
        "BadEnvironmentKeyIdInToken",
        "ExpiredProviderToken",
        "Forbidden",
        "InvalidProviderToken",
        "MissingProviderToken",
        "UnrelatedKeyIdInToken",
    ),
    403,
)
FIRST = {400: "BadTopic", 403: "Forbidden", 404: "BadPath", 405: "MethodNotAllowed", 410: "Unregistered"}
FIRST |= {413: "PayloadTooLarge", 429: "TooManyRequests", 500: "InternalServerError"}
FIRST |= {503: "ServiceUnavailable"}
FUTURE = 300  # s that a provider's clock may be ahead


class ApnsStandIn(StandIn):
    """One team with one key, and apps. Any device token of 64 hexadecimal digits exists, for any of the apps,
    unless it is in `devices`, which names its app. `token_life` is s that a provider token is good for."""

    kind = "apns"
    http1 = False
    asks_for_certificate = True

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        apps: tuple[str, ...] = ("org.example.app",),
        team: str = "TEAM123456",
        key_id: str = "KEY1234567",
    ) -> None:
        super().__init__(folder, port)
        self.apps = set(apps)
        self.team, self.key_id = team, key_id
        self.devices: dict[str, str] = {}
        self.token_life = 3600.0
        self.key = self.folder / f"AuthKey_{key_id}.p8"
        private = self.authority.key(self.key.name, ec.EllipticCurvePrivateKey)
        self.keys: dict[str, tuple[str, Any]] = {key_id: (team, private.public_key())}
        self._verifier = Verifier("ES256")
        # Apple counts on each connection (Pr0Ger/PyAPNs2 issue 76)
        self._issued: dict[tuple[int, str], list[tuple[float, str]]] = {}
        self.token_updates = 1  # new tokens of a key after the first, taken within 20 minutes; -1: any number
        self.sandbox = False  # only there Apple gives pushes an apns-unique-id

    def options(self) -> Options:
        app = {"key": str(self.key), "key_id": self.key_id, "team": self.team}
        app |= {"server": self.url, "sandbox": self.url}
        return {"push": {"ca": self.ca}, **{f'apns."{name}"': dict(app) for name in sorted(self.apps)}}

    def certificate(self, name: str = "client.pem", topics: tuple[str, ...] = (), days: float = 30) -> Path:
        """A client certificate for these topics, else for all of the first app."""
        bundle = sorted(self.apps)[0]
        return self.authority.client_certificate(name, topics or (bundle, f"{bundle}.voip"), days)

    def other_key(self, name: str = "other.p8") -> Path:
        """A key file that this team does not know."""
        path = self.folder / name
        path.write_bytes(pem(new_key(ec.EllipticCurvePrivateKey)))
        return path

    def push(self, request: Request) -> tuple[Record, Reply]:
        headers = request.headers
        told = headers.get("apns-id", "") or str(uuid4()).upper()
        try:
            payload = self._check(request, headers)
        except Refused as refused:
            refused.reply.headers += (("apns-id", told),)
            raise
        record = Record(self.token_of(request), headers, payload, 200, id=told)
        unique = (("apns-unique-id", str(uuid4())),) if self.sandbox else ()
        return record, Reply(200, (("apns-id", told), *unique))

    def failure(self, request: Request, status: int, reason: str, where: str) -> tuple[Reply, str]:
        word = reason or FIRST.get(status, "InternalServerError")
        headers = (("apns-id", request.headers.get("apns-id", "") or str(uuid4()).upper()),)
        return Reply.json(status, {"reason": word}, headers), word

    def _check(self, request: Request, headers: dict[str, str]) -> Any:
        if request.method != "POST":
            raise refuse(405, "MethodNotAllowed")
        path = request.path
        if path.rstrip("/") == PATH.rstrip("/"):
            raise refuse(400, "MissingDeviceToken")
        if not path.startswith(PATH) or "/" in path.removeprefix(PATH):
            raise refuse(404, "BadPath")
        names = [name for name, _ in request.fields]
        if any(names.count(name) > 1 for name in names if name.startswith("apns-")):
            raise refuse(400, "DuplicateHeaders")
        topics = self._topics(request, headers)
        topic = check_topic(headers, topics)
        check_headers(headers, topic)
        self._check_device(path.removeprefix(PATH), topic)
        return check_payload(request.body, headers, topic)

    def _check_device(self, token: str, topic: str) -> None:
        if len(token) != 64 or not all(sign in "0123456789abcdefABCDEF" for sign in token):
            raise refuse(400, "BadDeviceToken")
        reason = self.faults.refuse.get(token)
        if reason:
            raise refuse(STATUSES.get(reason, 400), reason)
        if token in self.faults.dead:
            raise refuse(410, "Unregistered", timestamp=self.faults.dead[token])
        if self.devices.get(token, topic.removesuffix(".voip")) != topic.removesuffix(".voip"):
            raise refuse(400, "DeviceTokenNotForTopic")

    def _topics(self, request: Request, headers: dict[str, str]) -> set[str]:
        """Those that this provider may send to."""
        authorization = headers.get("authorization", "")
        if not authorization:
            if not request.certificate:
                raise refuse(403, "MissingProviderToken")
            return topics_of(request.certificate)
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer" or not text:
            raise refuse(403, "InvalidProviderToken")
        self._check_provider_token(text.strip(), request.connection)
        return self.apps | {f"{app}.voip" for app in self.apps}

    def _check_provider_token(self, text: str, connection: int) -> None:
        try:
            kid = str(self._verifier.header(text).get("kid", ""))
            if kid not in self.keys:
                raise refuse(403, "InvalidProviderToken")
            team, key = self.keys[kid]
            claims = self._verifier.claims(text, key, kid)
        except TokenError:
            raise refuse(403, "InvalidProviderToken") from None
        issued, now = claims.get("iat"), time.time()
        if claims.get("iss") != team or not isinstance(issued, int | float) or isinstance(issued, bool):
            raise refuse(403, "InvalidProviderToken")
        if issued > now + FUTURE:
            raise refuse(403, "InvalidProviderToken")
        if now - issued > self.token_life:
            raise refuse(403, "ExpiredProviderToken")
        if self.token_updates >= 0:
            self._count_updates((connection, kid), text, now)

    def _count_updates(self, key: tuple[int, str], text: str, now: float) -> None:
        seen = [(at, known) for at, known in self._issued.get(key, []) if now - at < 1200]
        if text not in (known for _, known in seen):
            if len(seen) > self.token_updates:
                raise refuse(429, "TooManyProviderTokenUpdates")
            seen.append((now, text))
        self._issued[key] = seen
