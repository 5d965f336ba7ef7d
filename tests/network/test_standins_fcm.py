"""The FCM stand-in and its OAuth service, examined by pyfcm and google-auth.

Of pyfcm 2.1: it is synchronous and keeps a session for each thread, so each client has a thread here; its
server is an attribute of the class; where an answer has Retry-After, it (or urllib3 below it) sleeps for that
long inside the call and tries again, and 503 it repeats without.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from pyfcm import FCMNotification
from pyfcm.errors import (
    AuthenticationError,
    FCMNotRegisteredError,
    FCMSenderIdMismatchError,
    FCMServerError,
    InvalidDataError,
)

from tests.standins.fcm import GRANT, FcmStandIn

TOKEN = "dGhpcyBpcyBhIHRva2Vu:APA91b-0_x"
ANDROID = {"priority": "high", "ttl": "30s", "data": {"call-id": "1"}}


class Client:
    """pyfcm, directed to a stand-in."""

    def __init__(self, fcm: FcmStandIn, account: Path | None = None, project: str = "") -> None:
        self.thread = ThreadPoolExecutor(1)
        self.fcm = FCMNotification(str(account or fcm.service_account), project or None)
        self.fcm.FCM_END_POINT_BASE = f"{fcm.url}/v1/projects"

    async def send(self, token: str = TOKEN, **more: Any) -> dict[str, Any]:
        more.setdefault("android_config", ANDROID)
        return await self._in_thread(lambda: self.fcm.notify(fcm_token=token, timeout=10, **more))

    async def _in_thread(self, call: Any) -> Any:
        return await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self.thread, call), 20)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        def close() -> None:
            session = getattr(self.fcm.thread_local, "requests_session", None)
            if session is not None:
                session.close()

        await self._in_thread(close)
        self.thread.shutdown()


@pytest.fixture
async def fcm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FcmStandIn]:
    async with FcmStandIn(tmp_path) as standin:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", standin.ca)
        yield standin


async def test_takes_a_message(fcm: FcmStandIn) -> None:
    async with Client(fcm) as them:
        told = await them.send()
        await them.send(data_payload={"a": "b"}, android_config={"priority": "normal"})
    assert told["name"].startswith("projects/example-project/messages/")
    first, second = await fcm.wait_for(2)
    assert (first.token, first.payload["message"]["android"]) == (TOKEN, ANDROID)
    assert first.id == told["name"]
    assert second.payload["message"]["data"] == {"a": "b"}
    assert fcm.grants == 1


WRONG = [
    ({"android_config": {"data": {"x": "y" * 4096}}}, "message.android.data"),
    ({"android_config": {"data": {"from": "y"}}}, "message.android.data"),
    ({"android_config": {"ttl": "2419201s"}}, "message.android.ttl"),
    ({"token": ""}, "message"),
]
MALFORMED = [
    ({"android_config": {"data": {"n": 1}}}, "message.android.data[0].value"),
    ({"data_payload": {"n": {"deep": "x"}}}, "message.data[0].value"),
    ({"android_config": {"ttl": "30"}}, "message.android.ttl"),
    ({"android_config": {"ttl": 30}}, "message.android.ttl"),
    ({"android_config": {"priority": "urgent"}}, "message.android.priority"),
    ({"android_config": {"wrong": 1}}, "message.android"),
]


async def refusal(fcm: FcmStandIn, **more: Any) -> tuple[str, dict[str, Any]]:
    """Message and details (by type) of the error that pyfcm tells."""
    async with Client(fcm) as them:
        with pytest.raises(InvalidDataError) as told:
            await them.send(**more)
    error = json.loads(str(told.value))["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert fcm.received == []
    return error["message"], {each["@type"].rpartition(".")[2]: each for each in error["details"]}


@pytest.mark.parametrize(("more", "field"), [*WRONG, *MALFORMED])
async def test_names_the_field_that_is_wrong(fcm: FcmStandIn, more: dict[str, Any], field: str) -> None:
    _, details = await refusal(fcm, **more)
    assert details["BadRequest"]["fieldViolations"][0]["field"] == field
    if (more, field) in WRONG:
        assert details["FcmError"]["errorCode"] == "INVALID_ARGUMENT"
    else:
        assert set(details) == {"BadRequest"}


async def test_a_token_that_is_none_is_told_by_the_message_only(fcm: FcmStandIn) -> None:
    message, details = await refusal(fcm, token="with blank")
    assert "not a valid FCM registration token" in message
    assert set(details) == {"FcmError"}


async def test_names_of_data_that_are_not_reserved(fcm: FcmStandIn) -> None:
    async with Client(fcm) as them:
        await them.send(data_payload={"notification": "1", "collapse_key": "2"})
    assert len(fcm.received) == 1


async def test_tells_dead_tokens_and_those_of_others(fcm: FcmStandIn) -> None:
    fcm.fault("dead", token=TOKEN)
    fcm.devices["other-phone-1"] = "1234"
    async with Client(fcm) as them:
        with pytest.raises(FCMNotRegisteredError):
            await them.send()
        with pytest.raises(FCMSenderIdMismatchError):
            await them.send("other-phone-1")
        await them.send("third-phone-1")
    assert [each.reason for each in fcm.refused] == ["UNREGISTERED", "SENDER_ID_MISMATCH"]


async def test_another_project_is_forbidden(fcm: FcmStandIn) -> None:
    async with Client(fcm, fcm.account("a.json", project_id="stranger")) as them:
        with pytest.raises(FCMSenderIdMismatchError):  # pyfcm's word for any 403
            await them.send()
    fcm.allowed = False
    async with Client(fcm) as them:
        with pytest.raises(FCMSenderIdMismatchError):
            await them.send()
    assert [each.reason for each in fcm.refused] == ["PERMISSION_DENIED", "PERMISSION_DENIED"]


async def test_an_account_must_be_known(fcm: FcmStandIn) -> None:
    strangers = [
        (fcm.other_account(), "Invalid JWT Signature"),
        (fcm.account("b.json", private_key_id="gone"), "Invalid JWT Signature"),
        (fcm.account("c.json", client_email="stranger@example.org"), "account not found"),
    ]
    for account, words in strangers:
        async with Client(fcm, account) as them:
            with pytest.raises(InvalidDataError, match=words):
                await them.send()
    assert fcm.grants == 0
    assert fcm.received == fcm.refused == []


async def test_an_access_token_ends_and_is_renewed(fcm: FcmStandIn) -> None:
    async with Client(fcm) as them:
        await them.send()
        fcm.granted = dict.fromkeys(fcm.granted, 0.0)
        await them.send()
    assert fcm.grants == 2
    assert [each.reason for each in fcm.refused] == ["UNAUTHENTICATED"]


async def test_a_token_that_was_never_given_out_is_refused(fcm: FcmStandIn) -> None:
    async with Client(fcm) as them:
        await them.send()
        fcm.granted.clear()
        with pytest.raises(AuthenticationError):
            await them.send()


async def test_fails_on_demand(fcm: FcmStandIn) -> None:
    async with Client(fcm) as them:
        for status in (429, 500):
            fcm.fault("status", status=status, times=1)
            with pytest.raises(FCMServerError, match=str(status)):
                await them.send()
        fcm.fault("status", status=503, times=1)
        await them.send()  # at the second attempt, as pyfcm does
        fcm.fault("status", status=429, retry_after=1, times=1)
        begun = time.monotonic()
        await them.send()
        assert time.monotonic() - begun >= 1.0
        fcm.fault("status", status=401, times=1)
        with pytest.raises(AuthenticationError):
            await them.send()
    words = ["QUOTA_EXCEEDED", "INTERNAL", "UNAVAILABLE", "QUOTA_EXCEEDED", "THIRD_PARTY_AUTH_ERROR"]
    assert [each.reason for each in fcm.refused] == words
    assert len(fcm.received) == 2


async def test_the_oauth_service_fails_by_itself(fcm: FcmStandIn) -> None:
    fcm.fault("status", status=400, reason="invalid_grant", where="token", times=1)
    async with Client(fcm) as them:
        with pytest.raises(InvalidDataError, match="invalid_grant"):
            await them.send()
        await them.send()
    assert len(fcm.received) == 1


async def post(fcm: FcmStandIn, path: str, method: str = "POST", **more: Any) -> requests.Response:
    def call() -> requests.Response:
        with requests.Session() as session:
            return session.request(method, fcm.url + path, timeout=10, **more)

    return await asyncio.to_thread(call)


def assertion(fcm: FcmStandIn, algorithm: str = "RS256", **changes: Any) -> str:
    """As "Using OAuth 2.0 for Server to Server Applications" asks for."""
    account, now = json.loads(fcm.service_account.read_text()), int(time.time())
    claims = {
        "iss": account["client_email"],
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": now,
        "exp": now + 3600,
    }
    key = account["private_key"] if algorithm == "RS256" else "k" * 32
    return jwt.encode({**claims, **changes}, key, algorithm, {"kid": account["private_key_id"]})


async def grant(fcm: FcmStandIn, text: str, grant_type: str = GRANT) -> requests.Response:
    return await post(fcm, "/token", data={"grant_type": grant_type, "assertion": text})


NOW = int(time.time())


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"aud": "https://elsewhere.example.org"}, "invalid_grant", "audience"),
        ({"exp": NOW + 9000}, "invalid_grant", "short-lived"),
        ({"iat": NOW - 9000, "exp": NOW - 5400}, "invalid_grant", "short-lived"),
        ({"iat": NOW + 9000, "exp": NOW + 9600}, "invalid_grant", "short-lived"),
        ({"exp": None}, "invalid_grant", "short-lived"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope", "scope"),
        ({"algorithm": "HS256"}, "invalid_grant", "Signature"),
    ],
)
async def test_the_oauth_service_reads_claims(
    fcm: FcmStandIn, changes: dict[str, Any], code: str, words: str
) -> None:
    answer = await grant(fcm, assertion(fcm, **changes))
    told = answer.json()
    assert (answer.status_code, told["error"]) == (400, code)
    assert words in told["error_description"]
    assert fcm.granted == {}


async def test_the_oauth_service_knows_one_kind_of_grant(fcm: FcmStandIn) -> None:
    answer = await grant(fcm, assertion(fcm), "password")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
    assert (await grant(fcm, "nonsense")).status_code == 400
    assert (await grant(fcm, assertion(fcm))).json()["expires_in"] == 3599


SEND = "/v1/projects/example-project/messages:send"


async def test_access_is_demanded(fcm: FcmStandIn) -> None:
    token = (await grant(fcm, assertion(fcm))).json()["access_token"]
    message = {"message": {"token": TOKEN}}

    async def reason(authorization: str) -> str:
        answer = await post(fcm, SEND, json=message, headers={"Authorization": authorization})
        assert answer.status_code == 401
        error = answer.json()["error"]
        assert error["status"] == "UNAUTHENTICATED"
        return str(error["details"][0]["reason"])

    assert await reason("") == "CREDENTIALS_MISSING"
    assert await reason("Bearer never-granted") == "ACCESS_TOKEN_TYPE_UNSUPPORTED"
    assert await reason(f"Basic {token}") == "ACCESS_TOKEN_TYPE_UNSUPPORTED"
    fcm.granted[token] = time.time() - 1
    assert await reason(f"Bearer {token}") == "ACCESS_TOKEN_EXPIRED"
    fcm.granted[token] = time.time() + 60
    answer = await post(fcm, SEND, json=message, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert [each.status for each in fcm.refused] == [401] * 4


async def test_requests_that_are_none(fcm: FcmStandIn) -> None:
    token = (await grant(fcm, assertion(fcm))).json()["access_token"]
    more: dict[str, Any] = {"headers": {"Authorization": f"Bearer {token}"}}
    assert (await post(fcm, SEND, "GET", **more)).status_code == 405
    assert (await post(fcm, "/v1/projects/example-project/messages", **more)).status_code == 404
    assert (await post(fcm, SEND, data="{", **more)).json()["error"]["status"] == "INVALID_ARGUMENT"
    answer = await post(fcm, SEND, json={"message": {"token": TOKEN}, "to": TOKEN}, **more)
    assert 'Unknown name "to"' in answer.json()["error"]["message"]
    assert fcm.received == []
