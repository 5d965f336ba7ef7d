"""Apple Push Notification service: HTTP/2 provider API, by token (.p8) or certificate."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from urllib.parse import unquote

from cluster.push.credentials.certificate import ClientCertificate
from cluster.push.credentials.watched import CredentialError
from cluster.push.http.message import Connection, HttpRequest, HttpResponse
from cluster.push.providers.apns_answers import CREDENTIALS, REFUSED, RETRY
from cluster.push.providers.apns_payload import payload
from cluster.push.providers.apns_token import ProviderToken
from cluster.push.providers.provider import Answer, Unsendable, Warned
from cluster.push.providers.reply import json_object, try_later, unanswered, words
from cluster.push.push import Push
from cluster.push.settings import ApnsApp, PushSettings

LARGEST_COLLAPSE = 64  # bytes
_TOKEN = re.compile(r"[0-9A-Za-z_-]{1,200}")
_TEAM = re.compile(r"[0-9A-Z]{10}")
_TYPES = {"voip": "voip", "alert": "alert"}  # of Push.kind; all others: background


class Apns:
    """All apps of `[apns."bundle"]`, at the production service and at the sandbox."""

    names: tuple[str, ...] = ("apns", "apns.dev")

    def __init__(
        self,
        apps: Mapping[str, ApnsApp],
        push: PushSettings,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._push = push
        self._wall = wall
        tokens: dict[tuple[str, str, str], ProviderToken] = {}  # apps of one team may share their key
        self._apps = {}
        for bundle, app in apps.items():
            token = None
            if app.key:
                named = (app.team, app.key_id, app.key)
                option = f'[apns."{bundle}"] key'
                token = tokens.setdefault(named, ProviderToken(app, option, clock))
            self._apps[bundle] = _App(bundle, app, token, clock)

    @property
    def apps(self) -> tuple[str, ...]:
        return tuple(self._apps)

    def supports(self, provider: str, app: str) -> str:
        ours = self._apps.get(app)
        if ours is None:
            return missing(app)
        now = self._wall()
        alert = ours.problem("alert", now)
        return alert if alert and ours.problem("voip", now) else ""

    def lane(self, push: Push) -> str:
        return f"{push.provider} {push.app}"

    def grant(self, push: Push, now: float) -> HttpRequest | None:
        return None

    def granted(self, push: Push, response: HttpResponse, now: float) -> Answer:
        return Answer("accepted")

    def request(self, push: Push, now: float) -> HttpRequest:
        app = self._apps.get(push.app)
        if app is None:
            raise Unsendable(missing(push.app))
        problem = app.problem(push.kind, now)
        if problem:
            raise Unsendable(problem)
        token = unquote(push.token)
        if not _TOKEN.fullmatch(token):
            raise Unsendable("pn-prid is no device token of Apple: hexadecimal digits were expected")
        settings = app.settings
        server = settings.sandbox if push.provider == "apns.dev" else settings.server
        return HttpRequest(
            "POST",
            f"{server.rstrip('/')}/3/device/{token}",
            self._headers(push, app, now),
            payload(push, settings.badge),
            self._push.timeout,
            app.connection(push.kind, self._push),
        )

    def _headers(self, push: Push, app: _App, now: float) -> tuple[tuple[str, str], ...]:
        kind = _TYPES.get(push.kind, "background")
        headers = [
            ("apns-topic", app.topic(push.kind)),
            ("apns-push-type", kind),
            ("apns-priority", "5" if kind == "background" else "10"),
            ("apns-expiration", str(push.expires_at // 1000)),
            ("apns-id", push.id),
            ("content-type", "application/json"),
        ]
        if push.collapse:
            headers.append(("apns-collapse-id", collapse_id(push.collapse)))
        if app.token is not None:
            headers.append(("authorization", f"bearer {app.token.text(now)}"))
        return tuple(headers)

    def answer(self, push: Push, response: HttpResponse, now: float) -> Answer:
        if response.status == 200:
            return Answer("accepted", 200)
        if not response.status:
            return _unanswered(push, response)
        told = json_object(response.body)
        reason = str(told.get("reason", "")) or words(response.body)
        if response.status == 410 or reason in ("Unregistered", "ExpiredToken"):
            since = told.get("timestamp", 0)
            dead_since = since if isinstance(since, int) else 0
            return Answer("dead", response.status, reason or "Unregistered", dead_since=dead_since)
        if reason == "BadDeviceToken":
            return Answer("dead", response.status, f"BadDeviceToken: {_environment(push)}")
        if reason == "ExpiredProviderToken":
            return self._expired(push, response, now)
        if reason in CREDENTIALS or response.status == 403:
            told_us = CREDENTIALS.get(reason, "look the reason up at Apple and mend {table}")
            text = told_us.format(app=push.app, table=f'[apns."{push.app}"]', topic=self._topic(push))
            return Answer("credentials", response.status, f"{reason}: {text}")
        if reason in RETRY or response.status == 429 or response.status >= 500:
            return try_later(response, reason or "no reason given", now, RETRY.get(reason, 0.0))
        remedy = REFUSED.get(reason, "").format(topic=self._topic(push), param=_param(push))
        return Answer("refused", response.status, f"{reason}: {remedy}" if remedy else reason)

    def _expired(self, push: Push, response: HttpResponse, now: float) -> Answer:
        """Our token is over an hour old to Apple: a new one helps, unless that was one."""
        app = self._apps.get(push.app)
        if app is not None and app.token is not None and app.token.expired(now):
            return Answer("retry", response.status, "ExpiredProviderToken: sent again with a new one")
        return Answer(
            "credentials",
            response.status,
            "ExpiredProviderToken, although it is new: set this host's clock (chronyc tracking)",
        )

    def _topic(self, push: Push) -> str:
        app = self._apps.get(push.app)
        return app.topic(push.kind) if app is not None else push.app

    def warnings(self, now: float) -> list[Warned]:
        return [warned for app in self._apps.values() for warned in app.warnings(now)]

    def reload(self) -> None:
        for app in self._apps.values():
            app.look()


class _App:
    """One app and how we prove that we may send to it."""

    def __init__(
        self, bundle: str, settings: ApnsApp, token: ProviderToken | None, clock: Callable[[], float]
    ) -> None:
        self.settings = settings
        self.token = token
        self._bundle = bundle
        table = f'[apns."{bundle}"]'
        self._table = table
        self._cert = self._voip = None
        if settings.cert and not settings.key:
            self._cert = ClientCertificate(settings.cert, settings.cert_key, f"{table} cert", clock)
        if settings.voip_cert and not settings.key:
            key = "" if settings.cert else settings.cert_key  # cert_key is that of `cert`, if there is one
            self._voip = ClientCertificate(settings.voip_cert, key, f"{table} voip_cert", clock)

    def topic(self, kind: str) -> str:
        return f"{self._bundle}.voip" if kind == "voip" else self._bundle

    def problem(self, kind: str, now: float) -> str:
        """Why nothing can be sent; "" if it can."""
        settings, table = self.settings, self._table
        if self.token is not None:
            if not _TEAM.fullmatch(settings.team):
                return f"{table} team: {settings.team!r} is no team identifier: 10 capital letters and digits"
            if not _TEAM.fullmatch(settings.key_id):
                return (
                    f"{table} key_id: {settings.key_id!r} is no key identifier: 10 capital letters and digits"
                )
            try:
                self.token.read()
            except CredentialError as error:
                return str(error)
            return ""
        cert = self._for(kind)
        if cert is None:
            return f"{table} has no credentials: add key, key_id and team, or cert"
        return cert.problem(self.topic(kind), now)

    def connection(self, kind: str, push: PushSettings) -> Connection:
        cert = self._for(kind)
        if cert is None:
            return Connection(ca=push.ca, proxy=push.proxy)
        return Connection(ca=push.ca, cert=cert.cert, key=cert.key, proxy=push.proxy)

    def warnings(self, now: float) -> list[Warned]:
        certs = [(kind, cert) for kind, cert in (("alert", self._cert), ("voip", self._voip)) if cert]
        told = [(cert.option, self.problem(kind, now) or cert.warning(now)) for kind, cert in certs]
        if not certs:
            option = self.token.option if self.token is not None else self._table
            told.append((option, self.problem("alert", now) or (self.token.problem if self.token else "")))
        return [Warned(option, text) for option, text in told if text]

    def look(self) -> None:
        if self.token is not None:
            self.token.look()
        for cert in (self._cert, self._voip):
            if cert is not None:
                cert.look()

    def _for(self, kind: str) -> ClientCertificate | None:
        return self._voip if kind == "voip" and self._voip is not None else self._cert


def missing(app: str) -> str:
    """Nothing is configured for that app."""
    if not app:
        return "the Contact names no app: pn-param must be TEAMID.bundle (RFC 8599 10)"
    return (
        f'no [apns."{app}"] in the configuration: add team, key_id and key (the .p8 file of '
        f"Apple Developer > Keys), or cert"
    )


def collapse_id(word: str) -> str:
    """As given, or a digest where it is longer than Apple takes."""
    if len(word.encode()) <= LARGEST_COLLAPSE and word.isascii() and word.isprintable():
        return word
    return hashlib.sha256(word.encode()).hexdigest()


def _unanswered(push: Push, response: HttpResponse) -> Answer:
    """A certificate that Apple does not take shows as a TLS alert, not as a status; the engine says which."""
    if "client certificate" in response.error:
        return Answer("credentials", 0, f'[apns."{push.app}"] cert: {response.error}')
    return unanswered(response)


def _environment(push: Push) -> str:
    if push.provider == "apns.dev":
        return "not a token of the sandbox; an app from the App Store or TestFlight must say pn-provider=apns"
    return "not a token of the production service; an app installed by Xcode must say pn-provider=apns.dev"


def _param(push: Push) -> str:
    return push.parameters.get("pn-param") or push.parameters.get("app-id") or push.app
