"""Windows Push Notification Services and their OAuth service, as "Push notification service request and
response headers" and "Push notifications: troubleshooting" (learn.microsoft.com) describe them."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4
from xml.etree import ElementTree

from tests.standins.exchange import Record, Refused, Reply, Request
from tests.standins.standin import Options, StandIn

LARGEST = 5000  # bytes
LIVE, AZURE = "/accesstoken.srf", "/oauth2/v2.0/token"
ROOTS = {"wns/toast": "toast", "wns/tile": "tile", "wns/badge": "badge"}
DESCRIPTIONS = {
    400: "One or more headers were specified incorrectly or conflict with another header",
    401: "The token provided is invalid",
    403: "The cloud service is not authorized to send a notification to this URI",
    404: "The channel URI is not valid or is not recognized by WNS",
    405: "Invalid method; only POST is allowed",
    406: "The cloud service exceeded its throttle limit",
    410: "The channel expired",
    413: "The notification payload exceeds the 5000 byte size limit",
    500: "An internal failure caused notification delivery to fail",
    503: "The server is currently unavailable",
}


class WnsStandIn(StandIn):
    """One app. Any channel of `channel()` exists and is its own, unless `devices` gives the URL to another
    app; `became` is what is told of those that were right: received, dropped or channelthrottled.
    """

    kind = "wns"

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        http2: bool = True,
        app: str = "ms-app://s-1-15-2-1-2-3",
        tenant: str = "",
        secret: str = "wns-secret/+",
    ) -> None:
        super().__init__(folder, port, http2)
        self.app, self.tenant, self.secret = app, tenant, secret
        self.devices: dict[str, str] = {}
        self.granted: dict[str, float] = {}
        self.grants = 0
        self.life = 86_400
        self.became = "received"

    def channel(self, name: str = "phone") -> str:
        """The channel URL of a phone."""
        return f"{self.url}/?token={name}"

    def more(self) -> dict[str, Any]:
        return {"channel": self.channel(), "app": self.app}

    def options(self) -> Options:
        path = f"/{self.tenant}{AZURE}" if self.tenant else LIVE
        app = {"secret": self.secret, "tenant": self.tenant, "token_server": self.url + path}
        return {"push": {"ca": self.ca}, f'wns."{self.app}"': {**app, "hosts": ["localhost"]}}

    def is_grant(self, request: Request) -> bool:
        return request.path == LIVE or request.path.endswith(AZURE)

    def token_of(self, request: Request) -> str:
        """The whole channel URL."""
        return self.url + request.path

    def grant(self, request: Request) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        azure = request.path.endswith(AZURE)
        if request.method != "POST" or form.get("grant_type") != "client_credentials":
            return _oauth("unsupported_grant_type", "The provided value for grant_type is not supported")
        if azure and request.path != f"/{self.tenant}{AZURE}":
            return _oauth("invalid_request", "AADSTS90002: Tenant not found")
        if form.get("scope") != ("https://wns.windows.com/.default" if azure else "notify.windows.com"):
            return _oauth("invalid_scope", "The scope is not valid")
        if form.get("client_id") != self.app or form.get("client_secret") != self.secret:
            return _oauth("invalid_client", "Invalid client secret or identifier", 401 if azure else 400)
        self.grants += 1
        text = f"EgA{uuid4().hex}{uuid4().hex}"
        self.granted[text] = time.time() + self.life
        return Reply.json(200, {"token_type": "bearer", "access_token": text, "expires_in": self.life})

    def push(self, request: Request) -> tuple[Record, Reply]:
        headers, channel = request.headers, self.url + request.path
        if not re.fullmatch(r"/\?token=[^&]+", request.path):
            raise _refuse(404)
        if request.method != "POST":
            raise _refuse(405)
        scheme, _, text = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or time.time() >= self.granted.get(text, 0.0):
            raise _refuse(401)
        if channel in self.faults.refuse:
            raise _refuse(int(self.faults.refuse[channel]))
        if channel in self.faults.dead:
            raise _refuse(410)
        if self.devices.get(channel, self.app) != self.app:
            raise _refuse(403)
        payload = _checked(request.body, headers)
        told = uuid4().hex[:16].upper()
        reply = Reply(200, (("x-wns-status", self.became), ("x-wns-msg-id", told), *_trace()))
        if headers.get("x-wns-requestforstatus") == "true":
            reply.headers += (("x-wns-deviceconnectionstatus", "connected"),)
        return Record(channel, headers, payload, 200, self.became, id=told), reply

    def failure(self, request: Request, status: int, reason: str, where: str) -> tuple[Reply, str]:
        if where == "token":
            code = reason or "server_error"
            return _oauth(code, code, status), code
        refused = _refuse(status, reason)
        return refused.reply, refused.reason


def _checked(body: bytes, headers: dict[str, str]) -> Any:
    """The payload of a push: XML text, or of a raw push its JSON if it is that."""
    kind, content = headers.get("x-wns-type", ""), headers.get("content-type", "").partition(";")[0]
    wanted = "application/octet-stream" if kind == "wns/raw" else "text/xml"
    if kind not in (*ROOTS, "wns/raw") or content != wanted:
        raise _refuse(400, "X-WNS-Type and Content-Type do not agree")
    if not headers.get("content-length", "").isdecimal():
        raise _refuse(400, "Content-Length is missing")
    for name, pattern in (
        ("x-wns-cache-policy", "cache|no-cache"),
        ("x-wns-requestforstatus", "true|false"),
        ("x-wns-ttl", "[1-9][0-9]{0,9}"),
        ("x-wns-tag", "[0-9A-Za-z]{1,16}"),
    ):
        if name in headers and not re.fullmatch(pattern, headers[name]):
            raise _refuse(400, f"{name} is not valid")
    if len(body) > LARGEST:
        raise _refuse(413)
    text = body.decode("utf-8", "replace")
    if kind == "wns/raw":
        try:
            return json.loads(text)
        except ValueError:
            return text
    try:
        root = ElementTree.fromstring(text.encode()).tag
    except ElementTree.ParseError as error:
        raise _refuse(400, f"The XML payload is not valid: {error}") from None
    if root != ROOTS[kind]:
        raise _refuse(400, f"The root of the payload is {root}")
    return text


def _trace() -> tuple[tuple[str, str], ...]:
    return (("x-wns-debug-trace", "DB5SCH101111111"),)


def _refuse(status: int, text: str = "") -> Refused:
    text = text or DESCRIPTIONS.get(status, str(status))
    headers = (("x-wns-error-description", text), ("x-wns-status", "dropped"), *_trace())
    return Refused(Reply(status, headers), text)


def _oauth(code: str, description: str, status: int = 400) -> Reply:
    return Reply.json(status, {"error": code, "error_description": description})
