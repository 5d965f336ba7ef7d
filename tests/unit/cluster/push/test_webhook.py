"""Webhooks: the expanded URL, what comes back, and URLs that must not be."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cluster.push.http.message import HttpResponse
from cluster.push.providers.provider import Unsendable
from cluster.push.providers.webhook import PLACEHOLDERS, Webhook
from cluster.push.settings import PushSettings, WebhookSettings
from tests.unit.cluster.push.samples import NOW, TOKEN, a_push, headers, said

ALL = "https://pusher.example/push?" + "&".join(f"{name}=${name}" for name in PLACEHOLDERS)


def make(url: str = ALL, **changed: Any) -> Webhook:
    return Webhook(WebhookSettings(url=url, **changed), PushSettings(timeout=4.0, proxy="http://p:1"))


def test_all_placeholders_are_filled_in() -> None:
    push = a_push(from_name="Ä & B=1 $token", sound="ring.caf", from_uri="sip:a@b;x=y?z")
    request = make().request(push, NOW)
    assert (request.method, request.body, request.timeout) == ("GET", b"", 4.0)
    assert request.connection.proxy == "http://p:1"
    assert request.url.startswith("https://pusher.example/push?type=apple&")
    assert "$" not in request.url
    assert parse_qs(urlsplit(request.url).query) == {
        "type": ["apple"],
        "token": [TOKEN],
        "app-id": ["org.example.app.voip.prod"],
        "from-name": ["Ä & B=1 $token"],
        "from-uri": ["sip:a@b;x=y?z"],
        "from-tag": ["tag-1"],
        "to-uri": ["sip:bob@example.org"],
        "call-id": ["call-1@host"],
        "event": ["call"],
        "sound": ["ring.caf"],
        "msgid": ["IC_MSG"],
        "uid": ["<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"],
    }


def test_names_as_apps_made_for_flexisip_give_them() -> None:
    def query(**changed: Any) -> dict[str, list[str]]:
        return parse_qs(urlsplit(make().request(a_push(**changed), NOW).url).query)

    legacy = query(provider="wp", parameters={"pn-type": "wp", "app-id": "host.example", "pn-tok": "t"})
    assert (legacy["type"], legacy["app-id"]) == (["wp"], ["host.example"])
    assert query(provider="fcm", app="123", kind="data")["type"] == ["firebase"]
    assert query(provider="fcm", app="123", kind="data")["app-id"] == ["123"]
    assert query(provider="apns.dev", kind="alert")["app-id"] == ["org.example.app.dev"]
    assert query(provider="own", app="x")["type"] == ["own"]
    assert query(token="a%3Ab")["token"] == ["a:b"]


def test_a_placeholder_ends_where_its_name_ends() -> None:
    assert make("https://h/$event-$token/$call-id").request(a_push(token="t"), NOW).url == (
        "https://h/call-t/call-1%40host"
    )


def test_a_post_carries_the_text() -> None:
    request = make(method="POST").request(a_push(body="Grüße"), NOW)
    assert (request.method, request.body) == ("POST", "Grüße".encode())
    assert headers(request) == {"content-type": "text/plain; charset=utf-8"}
    assert headers(make().request(a_push(body="x"), NOW)) == {}


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (said(200), "accepted"),
        (said(204), "accepted"),
        (said(299), "accepted"),
        (said(302), "refused"),
        (said(400), "refused"),
        (said(401), "credentials"),
        (said(403), "credentials"),
        (said(404), "dead"),
        (said(410), "dead"),
        (said(429, b"", retry_after="4"), "retry"),
        (said(500), "retry"),
        (said(503), "retry"),
        (HttpResponse(0, error="refused"), "retry"),
    ],
)
def test_answers(response: HttpResponse, outcome: str) -> None:
    answer = make().answer(a_push(), response, NOW)
    assert (answer.outcome, answer.status) == (outcome, response.status)
    assert answer.retry_after == (4 if response.status == 429 else 0)
    assert answer.reason or outcome == "accepted"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "has no url"),
        ("ftp://h/", "no http or https URL"),
        ("hello", "no http or https URL"),
        ("https://[::1/", "is no URL"),
        ("https://$token/", "placeholder in the host"),
        ("https://h/$prid", "no placeholder $prid; there are $type, $token"),
    ],
)
def test_wrong_urls(url: str, words: str) -> None:
    hook = make(url)
    assert words in hook.supports("webhook", "")
    assert [warned.text for warned in hook.warnings(NOW)] == ([hook.supports("x", "")] if url else [])
    with pytest.raises(Unsendable):
        hook.request(a_push(), NOW)


def test_names_and_lane() -> None:
    assert make(providers=("*", "own", "apns")).names == ("webhook", "own", "apns")
    assert make("", providers=("apns",)).names == ("webhook",)
    assert make().lane(a_push()) == "webhook"
    assert make().grant(a_push(), NOW) is None
