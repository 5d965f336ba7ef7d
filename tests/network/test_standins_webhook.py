"""The webhook stand-in, examined by requests (HTTP/1.1) and by libcurl (HTTP/2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import requests

from tests.network.test_standins_fast import post
from tests.standins.webhook import WebhookStandIn


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[WebhookStandIn]:
    async with WebhookStandIn(tmp_path) as standin:
        yield standin


async def ask(
    webhook: WebhookStandIn, method: str, path: str, body: bytes | None = None
) -> requests.Response:
    def call() -> requests.Response:
        with requests.Session() as session:
            return session.request(method, webhook.url + path, data=body, verify=webhook.ca, timeout=10)

    return await asyncio.to_thread(call)


async def test_keeps_method_url_and_body(webhook: WebhookStandIn) -> None:
    assert (await ask(webhook, "GET", "/push?token=t%201&event=call&from-name=")).status_code == 200
    assert (await ask(webhook, "POST", "/push?token=t2", "Grüße".encode())).status_code == 200
    first, second = await webhook.wait_for(2)
    assert (first.method, first.path) == ("GET", "/push?token=t%201&event=call&from-name=")
    assert first.payload == {"query": {"token": "t 1", "event": "call", "from-name": ""}, "body": ""}
    assert (first.token, second.token) == ("t 1", "t2")
    assert (second.method, second.payload["body"]) == ("POST", "Grüße")


async def test_takes_http_2_and_large_bodies(webhook: WebhookStandIn) -> None:
    """Larger than the window that a client has from the start."""
    body = b"x" * 300_000
    status, _ = await asyncio.to_thread(post, f"{webhook.url}/push?token=t", webhook.ca, body)
    assert status == 200
    assert len(webhook.received[0].payload["body"]) == len(body)


async def test_refuses_on_demand(webhook: WebhookStandIn) -> None:
    webhook.fault("dead", token="gone")
    webhook.fault("refuse", token="strange", reason="401")
    assert (await ask(webhook, "POST", "/push?token=gone")).status_code == 410
    assert (await ask(webhook, "GET", "/push?token=strange")).status_code == 401
    webhook.fault("status", status=429, retry_after=2, times=1)
    answer = await ask(webhook, "GET", "/push?token=t")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert (await ask(webhook, "GET", "/push?token=t")).status_code == 200
    assert [(each.token, each.status) for each in webhook.refused] == [
        ("gone", 410),
        ("strange", 401),
        ("t", 429),
    ]


async def test_a_fault_may_be_for_one_phone_only(webhook: WebhookStandIn) -> None:
    webhook.fault("status", status=500, token="ill")
    assert (await ask(webhook, "GET", "/push?token=well")).status_code == 200
    assert (await ask(webhook, "GET", "/push?token=ill")).status_code == 500
    webhook.clear()
    assert (await ask(webhook, "GET", "/push?token=ill")).status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        b"POST /push HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /push HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /push HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
    ],
)
async def test_answers_what_is_no_request(webhook: WebhookStandIn, head: bytes) -> None:
    context = webhook.authority.client_context()
    reader, writer = await asyncio.open_connection("localhost", webhook.port, ssl=context)
    writer.write(head)
    answer = await asyncio.wait_for(reader.read(), 5)
    assert answer.startswith(b"HTTP/1.1 400 ")
    writer.close()
    await asyncio.wait_for(writer.wait_closed(), 5)
    assert webhook.received == []


async def test_resets_connections(webhook: WebhookStandIn) -> None:
    webhook.fault("reset", times=1)
    with pytest.raises(requests.ConnectionError):
        await ask(webhook, "GET", "/push?token=t")
    assert webhook.received == []
    assert (await ask(webhook, "GET", "/push?token=t")).status_code == 200
