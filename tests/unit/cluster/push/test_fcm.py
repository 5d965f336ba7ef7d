"""Firebase: the grant, the exact request, each answer, each problem of the service account."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest

from cluster.push.http.message import HttpResponse
from cluster.push.providers.fcm import Fcm
from cluster.push.providers.provider import Unsendable
from cluster.push.push import Push
from cluster.push.settings import FcmApp, PushSettings
from tests.unit.cluster.push.samples import (
    EC_KEY,
    NOW,
    RSA_KEY,
    Clock,
    a_push,
    headers,
    pem,
    public_pem,
    said,
    service_account,
    write,
)

NUMBER = "123456789012"
FCM_TOKEN = "dQw4w9WgXcQ:APA91b-x_y"


def fcm_push(**changed: Any) -> Push:
    return a_push(**{"provider": "fcm", "app": NUMBER, "token": FCM_TOKEN, "kind": "data", **changed})


class Rig:
    def __init__(self, folder: Path, content: bytes | None = None, **changed: str) -> None:
        self.clock = Clock()
        self.file = write(folder / "account.json", service_account() if content is None else content)
        app = FcmApp(**{"service_account": self.file, **changed})
        self.fcm = Fcm({NUMBER: app}, PushSettings(timeout=4.0), self.clock)

    def grant(self, text: str, now: float = NOW, life: Any = 3600) -> None:
        assert self.fcm.grant(fcm_push(), now) is not None
        answer = self.fcm.granted(fcm_push(), said(200, {"access_token": text, "expires_in": life}), now)
        assert answer.outcome == "accepted"

    def bearer(self, push: Push | None = None) -> str:
        return headers(self.fcm.request(push or fcm_push(), NOW))["authorization"]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def error(
    status: int, canonical: str, code: str = "", message: str = "words", field: str = ""
) -> HttpResponse:
    details: list[dict[str, Any]] = []
    if code:
        kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
        details.append({"@type": kind, "errorCode": code})
    if field:
        kind = "type.googleapis.com/google.rpc.BadRequest"
        details.append({"@type": kind, "fieldViolations": [{"field": field, "description": "Invalid"}]})
    told = {"code": status, "message": message, "status": canonical, "details": details}
    return said(status, {"error": told})


# -- access token


def test_the_grant_is_a_signed_assertion(rig: Rig) -> None:
    request = rig.fcm.grant(fcm_push(), NOW)
    assert request is not None
    assert (request.method, request.url) == ("POST", "https://oauth2.example/token")
    assert headers(request) == {"content-type": "application/x-www-form-urlencoded"}
    form = parse_qs(request.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    (assertion,) = form["assertion"]
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "kid": "key-1"}
    claims = jwt.decode(
        assertion,
        public_pem(RSA_KEY),
        ["RS256"],
        audience="https://oauth2.example/token",
        options={"verify_iat": False, "verify_exp": False},
    )
    assert claims == {
        "iss": "push@example-app.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.example/token",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
    }


def test_the_token_server_can_be_another(tmp_path: Path) -> None:
    request = Rig(tmp_path, token_server="https://127.0.0.1:9/t").fcm.grant(fcm_push(), NOW)
    assert request is not None
    assert request.url == "https://127.0.0.1:9/t"


def test_the_token_is_renewed_at_80_percent_of_its_life(rig: Rig) -> None:
    rig.grant("one", life=1000)
    assert rig.fcm.grant(fcm_push(), NOW + 799) is None
    assert rig.fcm.grant(fcm_push(), NOW + 800) is not None


def test_a_failed_renewal_does_not_stop_pushes_while_the_old_token_lives(rig: Rig) -> None:
    rig.grant("one", life=1000)
    assert rig.fcm.granted(fcm_push(), said(503), NOW + 800).outcome == "accepted"
    assert rig.fcm.grant(fcm_push(), NOW + 829) is None
    assert rig.fcm.grant(fcm_push(), NOW + 830) is not None
    assert rig.bearer() == "Bearer one"
    assert rig.fcm.granted(fcm_push(), said(503), NOW + 1000).outcome == "retry"


def test_grants_that_fail(rig: Rig) -> None:
    def granted(response: HttpResponse) -> tuple[str, str, float]:
        answer = rig.fcm.granted(fcm_push(), response, NOW)
        return answer.outcome, answer.reason, answer.retry_after

    invalid = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    outcome, reason, _ = granted(said(400, invalid))
    assert outcome == "credentials"
    assert "invalid_grant Invalid JWT Signature." in reason
    assert f'[fcm."{NUMBER}"] service_account' in reason
    assert granted(said(503, b"", retry_after="9"))[::2] == ("retry", 9)
    assert granted(said(0))[0] == "retry"
    assert granted(said(200, b"<html>"))[0] == "retry"
    assert granted(said(200, {"access_token": "x\r\ny"}))[0] == "retry"


def test_a_new_file_means_a_new_token(rig: Rig) -> None:
    rig.grant("one")
    assert rig.fcm.grant(fcm_push(), NOW) is None
    write(Path(rig.file), service_account(client_email="other@example"))
    rig.clock.now += 10
    assert rig.fcm.grant(fcm_push(), NOW) is not None


# -- request


def test_a_push_is_what_linphone_reads(rig: Rig) -> None:
    rig.grant("one")
    request = rig.fcm.request(fcm_push(), NOW + 10)
    assert request.url == "https://fcm.googleapis.com/v1/projects/example-app/messages:send"
    assert request.timeout == 4.0
    assert headers(request) == {"authorization": "Bearer one", "content-type": "application/json"}
    assert json.loads(request.body) == {
        "message": {
            "token": FCM_TOKEN,
            "android": {
                "priority": "high",
                "ttl": "80s",
                "data": {
                    "uuid": "<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>",
                    "from-uri": "sip:alice@example.org",
                    "display-name": "Alice",
                    "call-id": "call-1@host",
                    "sip-from": "Alice",
                    "loc-key": "IC_MSG",
                    "loc-args": "Alice",
                    "send-time": "2027-01-15 08:00:00",
                    "custom-payload": "{}",
                    "event": "call",
                    "push-id": "9a2f6d2e-0b57-4f0e-8a3c-6a6f1f2f9a01",
                },
            },
        }
    }
    assert rig.fcm.lane(fcm_push()) == f"fcm {NUMBER}"


def test_all_fields_are_strings_and_the_life_is_bounded(rig: Rig) -> None:
    push = fcm_push(expires_at=int(NOW * 1000) + 3_000_000_000, from_name="", loc_args=("a", "b"))
    android = json.loads(rig.fcm.request(push, NOW).body)["message"]["android"]
    assert android["ttl"] == "2419200s"
    assert android["data"]["sip-from"] == "sip:alice@example.org"
    assert json.loads(android["data"]["loc-args"]) == ["a", "b"]
    assert all(isinstance(value, str) for value in android["data"].values())


def test_names_are_cut_before_a_push_is_given_up(rig: Rig) -> None:
    long = fcm_push(from_name="ü" * 1500, loc_args=("ü" * 1500,))
    told = json.loads(rig.fcm.request(long, NOW).body)["message"]["android"]["data"]
    assert told["display-name"] == "ü" * 64
    with pytest.raises(Unsendable, match="4096"):
        rig.fcm.request(fcm_push(loc_key="k" * 4100), NOW)


def test_the_project_is_found_by_its_identifier_too(rig: Rig) -> None:
    assert rig.fcm.supports("fcm", NUMBER) == ""
    assert rig.fcm.supports("fcm", "example-app") == ""
    assert "projects/example-app/" in rig.fcm.request(fcm_push(app="example-app"), NOW).url


def test_a_token_that_is_none(rig: Rig) -> None:
    assert json.loads(rig.fcm.request(fcm_push(token="a%3Ab"), NOW).body)["message"]["token"] == "a:b"
    for token in ("", "a b", "a/b", "x" * 5000):
        with pytest.raises(Unsendable, match="registration token"):
            rig.fcm.request(fcm_push(token=token), NOW)


# -- answers


@pytest.mark.parametrize(
    ("response", "outcome", "words"),
    [
        (said(200, {"name": "projects/x/messages/1"}), "accepted", ""),
        (error(404, "NOT_FOUND", "UNREGISTERED"), "dead", "UNREGISTERED"),
        (error(404, "NOT_FOUND"), "refused", "pn-param"),
        (said(404, b"<html>Not Found"), "refused", "server"),
        (
            error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "The registration token is not valid"),
            "dead",
            "token",
        ),
        (error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", field="message.token"), "dead", "words"),
        (error(400, "INVALID_ARGUMENT", field="message.data[0].value"), "refused", "words"),
        (error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "Message too big"), "refused", "too big"),
        (error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), "refused", "another project"),
        (error(403, "PERMISSION_DENIED"), "credentials", "enable the Firebase Cloud Messaging API"),
        (error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), "credentials", "Firebase console"),
        (error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), "retry", "QUOTA_EXCEEDED"),
        (error(500, "INTERNAL", "INTERNAL"), "retry", "INTERNAL"),
        (error(503, "UNAVAILABLE", "UNAVAILABLE"), "retry", "UNAVAILABLE"),
        (said(502, b"<html>Bad Gateway"), "retry", "Bad Gateway"),
        (HttpResponse(0, error="timed out"), "retry", "timed out"),
        (said(400, {"error": "words"}), "refused", "words"),
        (
            said(400, {"error": {"status": "INVALID_ARGUMENT", "details": [{"fieldViolations": ["x"]}]}}),
            "refused",
            "INVALID_ARGUMENT",
        ),
        (said(418), "refused", "418"),
    ],
)
def test_answers(rig: Rig, response: HttpResponse, outcome: str, words: str) -> None:
    rig.grant("one")
    rig.fcm.request(fcm_push(), NOW)
    answer = rig.fcm.answer(fcm_push(), response, NOW)
    assert (answer.outcome, answer.status) == (outcome, response.status)
    assert words in answer.reason


def test_waits(rig: Rig) -> None:
    def wait(response: HttpResponse) -> float:
        return rig.fcm.answer(fcm_push(), response, NOW).retry_after

    assert wait(error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")) == 60
    assert wait(said(429, b"", retry_after="3")) == 3
    assert wait(said(503, b"", retry_after="11")) == 11
    assert wait(said(503)) == 0


def test_a_refused_access_token_is_renewed_once(rig: Rig) -> None:
    refused = error(401, "UNAUTHENTICATED")
    rig.grant("one")
    first, second, third = (fcm_push(id=name) for name in ("1", "2", "3"))
    rig.bearer(first)
    rig.bearer(second)
    assert rig.fcm.answer(first, refused, NOW).outcome == "retry"
    rig.grant("two")  # was forgotten
    assert rig.fcm.answer(second, refused, NOW).outcome == "retry"  # sent with the first token
    assert rig.fcm.grant(fcm_push(), NOW) is None  # the new one is kept
    assert rig.bearer(third) == "Bearer two"
    answer = rig.fcm.answer(third, refused, NOW)
    assert answer.outcome == "credentials"
    assert "service_account" in answer.reason
    assert rig.fcm.grant(fcm_push(), NOW) is not None  # tried anew after the lane's pause


def test_a_token_that_served_may_be_refused_again(rig: Rig) -> None:
    for text in ("one", "two", "three"):
        rig.grant(text)
        rig.bearer()
        assert rig.fcm.answer(fcm_push(), said(200), NOW).outcome == "accepted"
        rig.bearer()
        assert rig.fcm.answer(fcm_push(), error(401, "UNAUTHENTICATED"), NOW).outcome == "retry"


# -- service accounts


def test_a_missing_project_is_told_with_the_remedy(rig: Rig) -> None:
    text = rig.fcm.supports("fcm", "999")
    assert text.startswith('no [fcm."999"] in the configuration: add service_account = ')
    assert "pn-param" in rig.fcm.supports("fcm", "")
    with pytest.raises(Unsendable, match=r'no \[fcm."999"\]'):
        rig.fcm.request(fcm_push(app="999"), NOW)
    assert rig.fcm.grant(fcm_push(app="999"), NOW) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello", "is not the JSON of a service account"),
        (b'{"project_info": {"project_id": "x"}}', "describes something else, not a service account"),
        (service_account(type="authorized_user"), "describes authorized_user"),
        (service_account(project_id=""), "lacks project_id"),
        (service_account(private_key="x"), "holds no private key in PEM"),
        (service_account(private_key=pem(EC_KEY).decode()), "is not an RSA key"),
    ],
)
def test_wrong_files(tmp_path: Path, content: bytes, words: str) -> None:
    fcm = Rig(tmp_path, content).fcm
    assert words in fcm.supports("fcm", NUMBER)
    assert fcm.supports("fcm", NUMBER).startswith(f'[fcm."{NUMBER}"] service_account: ')
    (warned,) = fcm.warnings(NOW)
    assert words in warned.text
    assert fcm.grant(fcm_push(), NOW) is None
    with pytest.raises(Unsendable):
        fcm.request(fcm_push(), NOW)


def test_no_file(tmp_path: Path) -> None:
    assert "add the JSON file" in Rig(tmp_path, service_account="").fcm.supports("fcm", NUMBER)
    missing = Rig(tmp_path, service_account=str(tmp_path / "none")).fcm
    assert "cannot be read (No such file or directory)" in missing.supports("fcm", NUMBER)
