"""A gateway of an operator's own: takes any request, and keeps what it was asked."""

from __future__ import annotations

from urllib.parse import parse_qsl

from tests.standins.exchange import Record, Refused, Reply, Request
from tests.standins.standin import Options, StandIn

FIELDS = (
    "type",
    "token",
    "app-id",
    "from-name",
    "from-uri",
    "from-tag",
    "to-uri",
    "call-id",
    "event",
    "sound",
    "msgid",
    "uid",
)


class WebhookStandIn(StandIn):
    """The payload of a record has `query`, a dict, and `body`, a text."""

    kind = "webhook"

    def options(self) -> Options:
        query = "&".join(f"{name}=${name}" for name in FIELDS)
        return {"push": {"ca": self.ca}, "webhook": {"url": f"{self.url}/push?{query}", "method": "POST"}}

    def token_of(self, request: Request) -> str:
        return dict(parse_qsl(request.path.partition("?")[2], keep_blank_values=True)).get("token", "")

    def push(self, request: Request) -> tuple[Record, Reply]:
        token = self.token_of(request)
        query = dict(parse_qsl(request.path.partition("?")[2], keep_blank_values=True))
        payload = {"query": query, "body": request.body.decode("utf-8", "replace")}
        if token in self.faults.dead:
            raise Refused(Reply(410, body=b"gone"), "gone", token, payload)
        if token in self.faults.refuse:
            status = int(self.faults.refuse[token])
            raise Refused(Reply(status, body=b"refused"), str(status), token, payload)
        return Record(token, {}, payload, 200), Reply(200)
