"""Windows: the grant, the exact request, each answer, and channels that are none."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, quote
from xml.etree import ElementTree

import pytest

from cluster.push.http.message import HttpResponse
from cluster.push.providers.provider import Unsendable
from cluster.push.providers.wns import Wns
from cluster.push.push import Push
from cluster.push.settings import PushSettings, WnsApp
from tests.unit.cluster.push.samples import NOW, a_push, headers, said

SID = "ms-app://s-1-15-2-1234"
CHANNEL = "https://db5.notify.windows.com/?token=AwY%2bA"


def wns_push(**changed: Any) -> Push:
    return a_push(**{"provider": "wns", "app": SID, "token": CHANNEL, "kind": "data", **changed})


def make(name: str = SID, **changed: Any) -> Wns:
    return Wns({name: WnsApp(**{"secret": "s3/cr+t", **changed})}, PushSettings(timeout=4.0))


def granted(wns: Wns, text: str, **changed: Any) -> Wns:
    assert wns.grant(wns_push(**changed), NOW) is not None
    answer = wns.granted(wns_push(**changed), said(200, {"access_token": text, "expires_in": "86400"}), NOW)
    assert answer.outcome == "accepted"
    return wns


def test_the_grant_by_package_sid() -> None:
    request = make().grant(wns_push(), NOW)
    assert request is not None
    assert (request.method, request.url) == ("POST", "https://login.live.com/accesstoken.srf")
    assert headers(request) == {"content-type": "application/x-www-form-urlencoded"}
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": [SID],
        "client_secret": ["s3/cr+t"],
        "scope": ["notify.windows.com"],
    }


def test_the_grant_by_azure_tenant() -> None:
    request = make("app-1", tenant="tenant-1").grant(wns_push(app="app-1"), NOW)
    assert request is not None
    assert request.url == "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token"
    assert parse_qs(request.body.decode())["scope"] == ["https://wns.windows.com/.default"]
    other = make(token_server="https://127.0.0.1:1/t").grant(wns_push(), NOW)
    assert other is not None
    assert other.url == "https://127.0.0.1:1/t"


def test_a_refused_grant_names_the_option() -> None:
    answer = make().granted(wns_push(), said(400, {"error": "invalid_client"}), NOW)
    assert answer.outcome == "credentials"
    assert f'[wns."{SID}"]' in answer.reason
    assert make().granted(wns_push(), said(503), NOW).outcome == "retry"


def test_a_call_is_a_raw_push() -> None:
    wns = granted(make(), "one")
    request = wns.request(wns_push(), NOW + 10)
    assert (request.method, request.url, request.timeout) == ("POST", CHANNEL, 4.0)
    assert headers(request) == {
        "authorization": "Bearer one",
        "content-type": "application/octet-stream",
        "x-wns-type": "wns/raw",
        "x-wns-ttl": "80",
        "x-wns-cache-policy": "cache",
        "x-wns-requestforstatus": "true",
    }
    told = json.loads(request.body)
    assert told["call-id"] == "call-1@host"
    assert told["sip-from"] == "Alice"
    assert wns.lane(wns_push()) == f"wns {SID}"
    assert wns.grant(wns_push(), NOW + 10) is None
    assert not request.connection.public
    anywhere = make(hosts=("*",)).request(wns_push(token="https://wns.example.net/x"), NOW)
    assert anywhere.connection.public


def test_an_alert_is_a_toast() -> None:
    push = wns_push(kind="alert", event="message", from_name="A <&> \x07", body="Hi ]]> & <b>")
    request = granted(make(), "one").request(push, NOW)
    assert headers(request)["x-wns-type"] == "wns/toast"
    assert headers(request)["content-type"] == "text/xml"
    toast = ElementTree.fromstring(request.body)
    assert [text.text for text in toast.iter("text")] == ["A <&> ", "Hi ]]> & <b>"]
    assert toast.get("launch") == "chat?sip=sip:alice@example.org&call-id=call-1@host"
    call = ElementTree.fromstring(make().request(wns_push(kind="alert"), NOW).body)
    assert [text.text for text in call.iter("text")] == ["Alice", "Incoming call"]


@pytest.mark.parametrize(
    "token",
    [CHANNEL, quote(CHANNEL, safe=""), base64.b64encode(CHANNEL.encode()).decode().replace("=", "%3D")],
)
def test_channels_as_contacts_write_them(token: str) -> None:
    assert make().request(wns_push(token=token), NOW).url == CHANNEL


@pytest.mark.parametrize(
    "token",
    [
        "http://db5.notify.windows.com/?token=a",
        "https://evil.example/?token=a",
        "https://notify.windows.com.evil.example/",
        "https://evilnotify.windows.com@evil.example/",
        "https://evilnotify.windows.com.evil/",
        "https://127.0.0.1/?x=.notify.windows.com",
        "https://evil.example\\.notify.windows.com/",
        "https://db5.notify.windows.com/ HTTP",
        "file:///etc/passwd",
        "https:///",
        "https://[::1/",
        "hello",
        "",
    ],
)
def test_other_urls_are_not_asked(token: str) -> None:
    with pytest.raises(Unsendable):
        make().request(wns_push(token=token), NOW)


@pytest.mark.parametrize(
    ("response", "outcome", "words"),
    [
        (said(200, b"", x_wns_status="received"), "accepted", ""),
        (said(200), "accepted", ""),
        (said(200, b"", x_wns_status="dropped"), "refused", "dropped"),
        (said(200, b"", x_wns_status="channelthrottled"), "retry", "throttles"),
        (said(400, b"", x_wns_error_description="Bad header"), "refused", "Bad header"),
        (said(403), "credentials", "another app"),
        (said(404), "dead", "channel"),
        (said(405), "refused", "405"),
        (said(406), "retry", "throttles"),
        (said(410), "dead", "expired"),
        (said(413), "refused", "413"),
        (said(429), "retry", "throttles"),
        (said(500), "retry", "500"),
        (said(503, b"words"), "retry", "words"),
        (HttpResponse(0, error="timed out"), "retry", "timed out"),
    ],
)
def test_answers(response: HttpResponse, outcome: str, words: str) -> None:
    wns = granted(make(), "one")
    wns.request(wns_push(), NOW)
    answer = wns.answer(wns_push(), response, NOW)
    assert (answer.outcome, answer.status) == (outcome, response.status)
    assert words in answer.reason


def test_waits() -> None:
    assert make().answer(wns_push(), said(406), NOW).retry_after == 60
    assert make().answer(wns_push(), said(406, b"", retry_after="5"), NOW).retry_after == 5


def test_a_refused_access_token_is_renewed_once() -> None:
    wns = granted(make(), "one")
    wns.request(wns_push(), NOW)
    assert wns.answer(wns_push(), said(401), NOW).outcome == "retry"
    granted(wns, "two")
    wns.request(wns_push(), NOW)
    answer = wns.answer(wns_push(), said(401), NOW)
    assert answer.outcome == "credentials"
    assert "secret" in answer.reason


def test_one_foreign_channel_does_not_stop_the_others() -> None:
    wns = granted(make(), "one")
    assert wns.answer(wns_push(), said(200), NOW).outcome == "accepted"
    assert wns.answer(wns_push(), said(403), NOW + 60).outcome == "refused"
    assert wns.answer(wns_push(), said(403), NOW + 3601).outcome == "credentials"


def test_what_is_missing_is_told() -> None:
    assert make().supports("wns", SID) == ""
    assert make().supports("wns", SID.removeprefix("ms-app://")) == ""
    assert make().supports("wns", "db5.notify.windows.com") == ""  # as Linphone wrote it
    assert 'no [wns."x"]' in make().supports("wns", "x")
    assert "pn-param" in make().supports("wns", "")
    assert "add the application secret" in make(secret="").supports("wns", SID)
    assert "needs tenant" in make("app-1").supports("wns", "app-1")
    (warned,) = make(secret="").warnings(NOW)
    assert warned.option == f'[wns."{SID}"] secret'
    assert make().warnings(NOW) == []
    with pytest.raises(Unsendable, match="secret"):
        make(secret="").request(wns_push(), NOW)
    assert make(secret="").grant(wns_push(), NOW) is None
