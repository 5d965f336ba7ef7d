"""Web Push (RFC 8030): browsers and everything that speaks like one."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from urllib.parse import unquote

import msgspec

from cluster.push.credentials.jwt import base64url
from cluster.push.http.message import Connection, HttpRequest, HttpResponse
from cluster.push.providers.fcm_payload import fields
from cluster.push.providers.proven import Proven
from cluster.push.providers.provider import Answer, Unsendable, Warned
from cluster.push.providers.reply import try_later, unanswered, words
from cluster.push.providers.target import Target, target
from cluster.push.providers.vapid import Vapid
from cluster.push.providers.web_push_encryption import encrypt
from cluster.push.push import Push
from cluster.push.settings import PushSettings, WebPushSettings

URGENCIES = {"call": "high", "message": "normal", "refresh": "normal"}  # others: low
_TOPIC = re.compile(r"[0-9A-Za-z_-]{1,32}")


class WebPush:
    """All subscriptions, at whatever push service. pn-param is not used."""

    names: tuple[str, ...] = ("webpush",)

    def __init__(
        self, settings: WebPushSettings, push: PushSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._push = push
        self._vapid = Vapid(settings.key, settings.subject, clock)
        self._proven = Proven()

    def supports(self, provider: str, app: str) -> str:
        return self._vapid.problem()

    def vapid(self) -> str:
        """The public key that apps subscribe with. Raises CredentialError."""
        return self._vapid.public()

    def lane(self, push: Push) -> str:
        """One for each push service: none holds the others up."""
        try:
            return f"webpush {self._target(push).host}"
        except Unsendable:
            return "webpush"

    def grant(self, push: Push, now: float) -> HttpRequest | None:
        return None

    def granted(self, push: Push, response: HttpResponse, now: float) -> Answer:
        return Answer("accepted")

    def request(self, push: Push, now: float) -> HttpRequest:
        problem = self._vapid.problem()
        if problem:
            raise Unsendable(problem)
        where = self._target(push)
        headers = [
            ("authorization", self._vapid.authorization(where.origin, now)),
            ("ttl", str(push.seconds_left(int(now * 1000)))),
            ("urgency", URGENCIES.get(push.event, "low")),
        ]
        if push.collapse:
            headers.append(("topic", topic(push.collapse)))
        body = self._body(push)
        if body:
            headers += [("content-encoding", "aes128gcm"), ("content-type", "application/octet-stream")]
        connection = Connection(ca=self._push.ca, proxy=self._push.proxy, public=not where.named)
        return HttpRequest("POST", where.url, tuple(headers), body, self._push.timeout, connection)

    def answer(self, push: Push, response: HttpResponse, now: float) -> Answer:
        status, where = response.status, self.lane(push)
        if 200 <= status < 300:
            self._proven.accepted(where, now)
            return Answer("accepted", status)
        if not status:
            return unanswered(response)
        reason = words(response.body) or f"HTTP {status}"
        if status in (404, 410):
            return Answer("dead", status, f"{reason}: the subscription is gone")
        if status in (401, 403):
            return self._unauthorized(push, status, reason, now)
        if status == 429 or status >= 500:
            return try_later(response, reason, now)
        return Answer("refused", status, reason)

    def _unauthorized(self, push: Push, status: int, reason: str, now: float) -> Answer:
        if self._proven.lately(self.lane(push), now):
            remedy = "the subscription was made with another applicationServerKey: subscribe again in the app"
            return Answer("refused", status, f"{reason}: {remedy}")
        self._vapid.forget(self._target(push).origin)
        remedy = "check [webpush] key (apps must subscribe with its public half), subject, and the clock"
        return Answer("credentials", status, f"{reason}: {remedy}")

    def warnings(self, now: float) -> list[Warned]:
        """Without a key there is no Web Push, which is no mistake."""
        text = self._vapid.problem(latest=True) if self._settings.key else ""
        return [Warned(self._vapid.option, text)] if text else []

    def reload(self) -> None:
        self._vapid.look()

    def _target(self, push: Push) -> Target:
        return target(push.token, self._settings.hosts, "[webpush] hosts")

    def _body(self, push: Push) -> bytes:
        """Encrypted for the browser; nothing if the Contact gave no keys."""
        p256dh, auth = (unquote(push.parameters.get(name, "")) for name in ("pn-p256dh", "pn-auth"))
        if not p256dh and not auth:
            return b""
        return encrypt(msgspec.json.encode(fields(push)), p256dh, auth)


def topic(word: str) -> str:
    """As given, or a digest where RFC 8030 5.4 does not allow it."""
    if _TOPIC.fullmatch(word):
        return word
    return base64url(hashlib.sha256(word.encode()).digest())[:32]
