"""The Web Push stand-in, examined by pywebpush (requests, so HTTP/1.1), which signs with py_vapid and
encrypts with http_ece."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pywebpush import WebPushException, webpush

from tests.standins.web_push import WebPushStandIn


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WebPushStandIn]:
    async with WebPushStandIn(tmp_path) as standin:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", standin.ca)
        yield standin


async def send(
    service: WebPushStandIn, data: str = '{"call": "1"}', key: Path | None = None, **more: Any
) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer."""
    subscription = more.pop("subscription", None) or service.subscribe()
    claims = more.pop("claims", {"sub": "mailto:push@example.org"})
    more.setdefault("ttl", 30)

    def call() -> requests.Response:
        with requests.Session() as session:
            return webpush(
                subscription,
                data,
                vapid_private_key=str(key or service.vapid),
                vapid_claims=dict(claims),
                requests_session=session,
                timeout=10,
                **more,
            )

    try:
        answer = await asyncio.to_thread(call)
    except WebPushException as error:
        assert error.response is not None, error
        return error.response.status_code, dict(error.response.headers)
    return answer.status_code, dict(answer.headers)


async def test_takes_and_decrypts_a_push(service: WebPushStandIn) -> None:
    status, headers = await send(service, headers={"Urgency": "high", "Topic": "call_1"})
    assert status == 201
    assert headers["location"].startswith(f"{service.url}/message/")
    (push,) = await service.wait_for(1)
    assert push.payload == {"call": "1"}
    assert push.token == service.subscribe()["endpoint"]
    assert (push.headers["ttl"], push.headers["urgency"], push.headers["topic"]) == ("30", "high", "call_1")


async def test_takes_a_push_without_data(service: WebPushStandIn) -> None:
    assert (await send(service, data=""))[0] == 201
    assert service.received[0].payload is None


async def test_another_key_is_forbidden(service: WebPushStandIn) -> None:
    assert (await send(service, key=service.other_key()))[0] == 403
    assert service.refused[0].reason == "VAPID public key mismatch"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "https://elsewhere.example.org"}, "aud is https://elsewhere.example.org"),
        ({"exp": 100}, "exp is over"),
        ({"exp": int(time.time()) + 25 * 3600}, "exp is over or more than 24 hours"),
        ({"sub": "nobody"}, "sub is neither"),
    ],
)
async def test_checks_claims(service: WebPushStandIn, claims: dict[str, Any], reason: str) -> None:
    token = jwt.encode(
        {
            "aud": service.url,
            "exp": int(time.time()) + 3600,
            "sub": "mailto:a@example.org",
            **claims,
        },
        load_pem_private_key(service.vapid.read_bytes(), None),
        algorithm="ES256",
    )
    status = await post(service, {"Authorization": f"vapid t={token}, k={service.application_key}"})
    assert status == 403
    assert service.refused[0].reason.startswith(reason)


async def post(service: WebPushStandIn, headers: dict[str, str], body: bytes = b"") -> int:
    def call() -> int:
        with requests.Session() as session:
            url = service.subscribe()["endpoint"]
            return session.post(url, data=body, headers={"TTL": "1", **headers}, timeout=10).status_code

    return await asyncio.to_thread(call)


async def test_vapid_is_demanded_and_its_signature_checked(service: WebPushStandIn) -> None:
    assert await post(service, {}) == 401
    foreign = load_pem_private_key(service.other_key().read_bytes(), None)
    token = jwt.encode({"aud": service.url, "sub": "mailto:a@b"}, foreign, algorithm="ES256")
    assert await post(service, {"Authorization": f"vapid t={token}, k={service.application_key}"}) == 403
    assert await post(service, {"Authorization": f"WebPush {token}"}) == 403


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"ttl": "soon"}, "TTL"),
        ({"urgency": "extreme"}, "Urgency"),
        ({"topic": "t" * 33}, "Topic"),
        ({"topic": "no topic!"}, "Topic"),
    ],
)
async def test_checks_headers(service: WebPushStandIn, headers: dict[str, str], reason: str) -> None:
    assert (await send(service, ttl=0 if "ttl" in headers else 1, headers=headers))[0] == 400
    assert service.refused[0].reason.startswith(reason)


async def test_knows_one_encoding_only(service: WebPushStandIn) -> None:
    assert (await send(service, content_encoding="aesgcm"))[0] == 400


async def test_takes_no_more_than_4096_octets(service: WebPushStandIn) -> None:
    assert (await send(service, data="x" * 3993))[0] == 201  # with 103 octets of encryption
    assert (await send(service, data="x" * 3994))[0] == 413


async def test_a_subscription_ends(service: WebPushStandIn) -> None:
    gone = service.subscribe("gone")
    service.fault("dead", token=gone["endpoint"])
    assert (await send(service, subscription=gone))[0] == 410
    unknown = {**gone, "endpoint": f"{service.url}/push/unknown"}
    assert (await send(service, subscription=unknown))[0] == 404
    assert (await send(service))[0] == 201


async def test_tells_what_the_browser_cannot_decrypt(service: WebPushStandIn) -> None:
    mixed = {**service.subscribe(), "keys": service.subscribe("another")["keys"]}
    assert (await send(service, subscription=mixed))[0] == 201  # the service cannot know
    assert service.received == []
    assert "cannot decrypt" in service.refused[0].reason


async def test_fails_on_demand(service: WebPushStandIn) -> None:
    service.fault("status", status=429, retry_after=7, times=1)
    status, headers = await send(service)
    assert (status, headers["retry-after"]) == (429, "7")
    assert (await send(service))[0] == 201
