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

import pytest
from pyfcm import FCMNotification
from pyfcm.errors import (
    AuthenticationError,
    FCMNotRegisteredError,
    FCMSenderIdMismatchError,
    FCMServerError,
    InvalidDataError,
)

from tests.standins.fcm import FcmStandIn

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
