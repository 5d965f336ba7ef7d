"""Pushes as HTTP requests to a service of the operator's own."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

from cluster.push.http.message import Connection, HttpRequest, HttpResponse
from cluster.push.providers.apns_payload import device_id
from cluster.push.providers.provider import Answer, Unsendable, Warned
from cluster.push.providers.reply import try_later, unanswered, words
from cluster.push.push import Push
from cluster.push.settings import PushSettings, WebhookSettings

PLACEHOLDERS = (
    "type", "token", "app-id", "from-name", "from-uri", "from-tag", "to-uri", "call-id", "event", "sound",
    "msgid", "uid",
)  # fmt: skip
_PLACEHOLDER = re.compile(r"\$([a-z]+(?:-[a-z]+)?)")
_TYPES = {"apns": "apple", "apns.dev": "apple", "fcm": "firebase"}  # as apps made for Flexisip say


class Webhook:
    """`[webhook] url`. What it is given by name it takes from the service of that name."""

    def __init__(self, settings: WebhookSettings, push: PushSettings) -> None:
        given = settings.providers if settings.url else ()
        self.names: tuple[str, ...] = ("webhook", *(name for name in given if name != "*"))
        self._settings = settings
        self._push = push

    def supports(self, provider: str, app: str) -> str:
        return self._problem()

    def lane(self, push: Push) -> str:
        return "webhook"

    def grant(self, push: Push, now: float) -> HttpRequest | None:
        return None

    def granted(self, push: Push, response: HttpResponse, now: float) -> Answer:
        return Answer("accepted")

    def request(self, push: Push, now: float) -> HttpRequest:
        problem = self._problem()
        if problem:
            raise Unsendable(problem)
        post = self._settings.method == "POST"
        return HttpRequest(
            self._settings.method,
            expanded(self._settings.url, push),
            (("content-type", "text/plain; charset=utf-8"),) if post else (),
            push.body.encode() if post else b"",
            self._push.timeout,
            Connection(ca=self._push.ca, proxy=self._push.proxy),
        )

    def answer(self, push: Push, response: HttpResponse, now: float) -> Answer:
        status = response.status
        if 200 <= status < 300:
            return Answer("accepted", status)
        if not status:
            return unanswered(response)
        reason = words(response.body) or f"HTTP {status}"
        if status in (404, 410):
            return Answer("dead", status, reason)
        if status in (401, 403):
            return Answer("credentials", status, f"{reason}: check [webhook] url")
        if status == 429 or status >= 500:
            return try_later(response, reason, now)
        return Answer("refused", status, reason)

    def warnings(self, now: float) -> list[Warned]:
        text = self._problem() if self._settings.url else ""
        return [Warned("[webhook] url", text)] if text else []

    def reload(self) -> None:
        """Nothing of it is in files."""

    def _problem(self) -> str:
        url = self._settings.url
        if not url:
            return "[webhook] has no url: add https://..., with $token and whatever else it needs"
        try:
            parts = urlsplit(url)
        except ValueError:
            return f"[webhook] url: {url!r} is no URL"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return f"[webhook] url: {url!r} is no http or https URL"
        if "$" in parts.netloc:
            return "[webhook] url: a placeholder in the host would let phones choose where requests go"
        unknown = [name for name in _PLACEHOLDER.findall(url) if not _known(name)]
        if unknown:
            return (
                f"[webhook] url: there is no placeholder ${unknown[0]}; there are ${', $'.join(PLACEHOLDERS)}"
            )
        return ""


def expanded(url: str, push: Push) -> str:
    """The URL with its placeholders filled in, each escaped whole; what comes in is not looked at again."""
    values = {
        "type": push.parameters.get("pn-type") or _TYPES.get(push.provider, push.provider),
        "token": unquote(push.token),
        "app-id": _app_id(push),
        "from-name": push.from_name,
        "from-uri": push.from_uri,
        "from-tag": push.from_tag,
        "to-uri": push.to_uri,
        "call-id": push.call_id,
        "event": push.event,
        "sound": push.sound,
        "msgid": push.loc_key,
        "uid": device_id(push),
    }
    return _PLACEHOLDER.sub(lambda found: _filled(found[1], values), url)


def _filled(name: str, values: dict[str, str]) -> str:
    """ "$token-x" is "$token" with "-x" behind it."""
    if name in values:
        return quote(values[name], safe="")
    head, dash, rest = name.partition("-")
    return quote(values[head], safe="") + dash + rest if head in values else f"${name}"


def _known(name: str) -> bool:
    return name in PLACEHOLDERS or name.partition("-")[0] in PLACEHOLDERS


def _app_id(push: Push) -> str:
    """As apps made for Flexisip name it: `org.example.app.voip.prod`."""
    if "app-id" in push.parameters:
        return push.parameters["app-id"]
    if not push.provider.startswith("apns"):
        return push.app
    voip = ".voip" if push.kind == "voip" else ""
    return f"{push.app}{voip}.{'dev' if push.provider == 'apns.dev' else 'prod'}"
