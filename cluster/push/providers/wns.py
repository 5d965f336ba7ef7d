"""Windows Push Notification Services."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import unquote, urlencode
from xml.sax.saxutils import escape, quoteattr

import msgspec

from cluster.push.credentials.access_token import AccessToken
from cluster.push.http.message import Connection, HttpRequest, HttpResponse
from cluster.push.providers.fcm_payload import fields
from cluster.push.providers.grant import grant_answer
from cluster.push.providers.proven import Proven
from cluster.push.providers.provider import Answer, Unsendable, Warned
from cluster.push.providers.reply import try_later, unanswered, words
from cluster.push.providers.target import target
from cluster.push.push import Push
from cluster.push.settings import PushSettings, WnsApp

LIVE = "https://login.live.com/accesstoken.srf"
AZURE = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
LARGEST = 5000  # bytes that WNS takes
WAIT = 60.0  # s, where WNS throttles us and says no time
TEXTS = {"call": "Incoming call", "message": "New message", "missed": "Missed call"}


class Wns:
    """All apps of `[wns."package SID or Azure application"]`."""

    names: tuple[str, ...] = ("wns",)

    def __init__(self, apps: Mapping[str, WnsApp], push: PushSettings) -> None:
        self._push = push
        self._connection = Connection(ca=push.ca, proxy=push.proxy)
        self._settings = dict(apps)
        self._tokens = {name: AccessToken() for name in apps}
        self._proven = Proven()

    @property
    def apps(self) -> tuple[str, ...]:
        return tuple(self._settings)

    def supports(self, provider: str, app: str) -> str:
        name = self._name(app)
        return self._problem(name) if name else missing(app)

    def lane(self, push: Push) -> str:
        return f"wns {push.app}"

    def grant(self, push: Push, now: float) -> HttpRequest | None:
        name = self._name(push.app)
        if not name or self._problem(name) or not self._tokens[name].wanted(now):
            return None
        settings = self._settings[name]
        azure = bool(settings.tenant)
        form = {
            "grant_type": "client_credentials",
            "client_id": name,
            "client_secret": settings.secret,
            "scope": "https://wns.windows.com/.default" if azure else "notify.windows.com",
        }
        return HttpRequest(
            "POST",
            settings.token_server or (AZURE.format(tenant=settings.tenant) if azure else LIVE),
            (("content-type", "application/x-www-form-urlencoded"),),
            urlencode(form).encode(),
            self._push.timeout,
            self._connection,
        )

    def granted(self, push: Push, response: HttpResponse, now: float) -> Answer:
        name = self._name(push.app)
        if not name:
            return Answer("credentials", 0, missing(push.app))
        remedy = f'check the name of [wns."{name}"], its secret (it may have expired) and its tenant'
        return grant_answer(self._tokens[name], response, now, remedy)

    def request(self, push: Push, now: float) -> HttpRequest:
        name = self._name(push.app)
        problem = self._problem(name) if name else missing(push.app)
        if problem:
            raise Unsendable(problem)
        channel = target(_channel(push.token), self._settings[name].hosts, f'[wns."{name}"] hosts')
        raw = push.kind != "alert"
        body = msgspec.json.encode(fields(push)) if raw else _toast(push)
        if len(body) > LARGEST:
            raise Unsendable(f"the payload has {len(body)} bytes, WNS takes {LARGEST}")
        return HttpRequest(
            "POST",
            channel.url,
            (
                ("authorization", f"Bearer {self._tokens[name].use(push.id)}"),
                ("content-type", "application/octet-stream" if raw else "text/xml"),
                ("x-wns-type", "wns/raw" if raw else "wns/toast"),
                ("x-wns-ttl", str(max(1, push.seconds_left(int(now * 1000))))),
                ("x-wns-cache-policy", "cache"),
                ("x-wns-requestforstatus", "true"),
            ),
            body,
            self._push.timeout,
            msgspec.structs.replace(self._connection, public=not channel.named),
        )

    def answer(self, push: Push, response: HttpResponse, now: float) -> Answer:
        name = self._name(push.app)
        if not name:
            return Answer("refused", response.status, missing(push.app))
        status, token = response.status, self._tokens[name]
        if status == 401 and token.refused(push.id) == "renew":
            return Answer("retry", 401, "WNS refused the access token: sent again with another")
        if status == 200:
            token.accepted(push.id)
            self._proven.accepted(name, now)
            return _delivered(response, now)
        token.answered(push.id)
        return self._meaning(name, response, now)

    def warnings(self, now: float) -> list[Warned]:
        told = [(f'[wns."{name}"] secret', self._problem(name)) for name in self._settings]
        return [Warned(option, text) for option, text in told if text]

    def reload(self) -> None:
        """Nothing of it is in files."""

    def _meaning(self, name: str, response: HttpResponse, now: float) -> Answer:
        status = response.status
        reason = response.headers.get("x-wns-error-description") or words(response.body) or f"HTTP {status}"
        if not status:
            return unanswered(response)
        if status in (404, 410):
            return Answer("dead", status, f"{reason}: the channel has expired or never was")
        if status == 401:
            return Answer("credentials", status, f'{reason}: check the name and secret of [wns."{name}"]')
        if status == 403:
            remedy = f'the channel is of another app than [wns."{name}"]: correct pn-param or the table'
            ours = not self._proven.lately(name, now)
            return Answer("credentials" if ours else "refused", status, f"{reason}: {remedy}")
        if status in (406, 429):
            return try_later(response, f"{reason}: WNS throttles this channel", now, WAIT)
        if status >= 500:
            return try_later(response, reason, now)
        return Answer("refused", status, reason)

    def _problem(self, name: str) -> str:
        settings = self._settings[name]
        if not settings.secret:
            return f'[wns."{name}"] has no secret: add the application secret of Partner Center or Azure'
        if not settings.tenant and not name.startswith("ms-app://"):
            return (
                f'[wns."{name}"]: a name that is no package SID (ms-app://s-1-15-2-...) needs tenant, '
                "the Azure tenant of the app"
            )
        return ""

    def _name(self, app: str) -> str:
        """The table of an app: by its name, with or without "ms-app://". Apps made for Flexisip name the host
        of the channel instead: with one table only, it is theirs."""
        for name in (app, f"ms-app://{app}", unquote(app)):
            if name in self._settings:
                return name
        if len(self._settings) == 1 and app.endswith(".notify.windows.com"):
            return next(iter(self._settings))
        return ""


def missing(app: str) -> str:
    """Nothing is configured for that app."""
    if not app:
        return (
            "the Contact names no app: pn-param must be the package SID or the Azure application identifier"
        )
    return (
        f'no [wns."{app}"] in the configuration: add secret = "..." of Partner Center, or tenant and secret'
    )


def _channel(token: str) -> str:
    """The channel URL; apps made for Flexisip give it in base64."""
    if token.lower().startswith("http"):
        return token
    try:
        return base64.b64decode(unquote(token), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return token


def _delivered(response: HttpResponse, now: float) -> Answer:
    """200 says only that the request was right."""
    became = response.headers.get("x-wns-status") or response.headers.get("x-wns-notificationstatus") or ""
    if became.lower() == "channelthrottled":
        return try_later(response, "channelthrottled: WNS throttles this channel", now, WAIT)
    if became.lower() == "dropped":
        why = response.headers.get("x-wns-error-description", "the app or its user takes no notifications")
        return Answer("refused", 200, f"dropped: {why}")
    return Answer("accepted", 200)


def _toast(push: Push) -> bytes:
    who = push.from_name or push.from_uri
    text = push.body if push.event == "message" and push.body else TEXTS.get(push.event, push.loc_key)
    query = urlencode({"sip": push.from_uri, "call-id": push.call_id}, safe=":@")
    launch = f"{'chat' if push.event == 'message' else 'call'}?{query}"
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<toast launch={quoteattr(launch)}><visual><binding template="ToastGeneric">'
        f"<text>{_xml(who)}</text><text>{_xml(text[:500])}</text></binding></visual></toast>"
    ).encode()


def _xml(text: str) -> str:
    """XML 1.0 knows no control characters, whatever way they are written."""
    return escape("".join(sign for sign in text if sign.isprintable() or sign.isspace()))
