"""The WNS stand-in and its OAuth service, examined by requests (HTTP/1.1): Microsoft's pages put into calls.

There is no maintained client of WNS for Python.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.standins.wns import WnsStandIn

TOAST = b'<toast><visual><binding template="ToastText01"><text id="1">A</text></binding></visual></toast>'


@pytest.fixture
async def wns(tmp_path: Path) -> AsyncIterator[WnsStandIn]:
    async with WnsStandIn(tmp_path) as standin:
        yield standin


class Client:
    """As Microsoft's example: asks for an access token, then posts to channels."""

    def __init__(self, wns: WnsStandIn) -> None:
        self.wns = wns
        self.token = ""

    async def post(self, url: str, **more: Any) -> requests.Response:
        def call() -> requests.Response:
            with requests.Session() as session:
                return session.post(url, verify=self.wns.ca, timeout=10, **more)

        return await asyncio.to_thread(call)

    async def grant(self, path: str = "/accesstoken.srf", **changes: str) -> requests.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.wns.app,
            "client_secret": self.wns.secret,
            "scope": "notify.windows.com",
        }
        answer = await self.post(self.wns.url + path, data={**form, **changes})
        self.token = answer.json().get("access_token", "")
        return answer

    async def send(self, body: bytes = TOAST, channel: str = "", **fields: str) -> requests.Response:
        if not self.token:
            await self.grant()
        headers = {
            "Authorization": f"Bearer {self.token}",
            "X-WNS-Type": "wns/toast",
            "Content-Type": "text/xml",
        }
        changes = {name.replace("_", "-"): value for name, value in fields.items()}
        return await self.post(channel or self.wns.channel(), data=body, headers=_merged(headers, changes))


def _merged(headers: dict[str, str], changes: dict[str, str]) -> dict[str, str]:
    names = {name.lower() for name in changes}
    return {name: value for name, value in headers.items() if name.lower() not in names} | changes


async def test_takes_a_toast(wns: WnsStandIn) -> None:
    answer = await Client(wns).send(
        X_WNS_TTL="30", X_WNS_Tag="call1", X_WNS_Cache_Policy="cache", X_WNS_RequestForStatus="true"
    )
    assert answer.status_code == 200
    assert answer.headers["X-WNS-Status"] == "received"
    assert answer.headers["X-WNS-DeviceConnectionStatus"] == "connected"
    (push,) = await wns.wait_for(1)
    assert (push.token, push.payload) == (wns.channel(), TOAST.decode())
    assert push.id == answer.headers["X-WNS-Msg-ID"]
    assert answer.headers["X-WNS-Debug-Trace"]


async def test_takes_raw_pushes(wns: WnsStandIn) -> None:
    raw = {"X_WNS_Type": "wns/raw", "Content_Type": "application/octet-stream"}
    them = Client(wns)
    for body in (b'{"call": 1}', b"any octets"):
        assert (await them.send(body, **raw)).status_code == 200
    assert [push.payload for push in wns.received] == [{"call": 1}, "any octets"]
    assert wns.grants == 1


WRONG: list[tuple[bytes, dict[str, str], int]] = [
    (TOAST, {"X_WNS_Type": "wns/nonsense"}, 400),
    (TOAST, {"X_WNS_Type": "wns/raw"}, 400),
    (TOAST, {"Content_Type": "application/json"}, 400),
    (TOAST, {"X_WNS_Type": "wns/tile"}, 400),
    (TOAST, {"X_WNS_TTL": "0"}, 400),
    (TOAST, {"X_WNS_TTL": "soon"}, 400),
    (TOAST, {"X_WNS_Tag": "more-than-alphanumeric"}, 400),
    (TOAST, {"X_WNS_Cache_Policy": "maybe"}, 400),
    (b"<toast>", {}, 400),
    (b"<toast>" + b"x" * 5000 + b"</toast>", {}, 413),
    (TOAST, {"Authorization": "Bearer EgAnever-granted"}, 401),
    (TOAST, {"Authorization": "Basic eDp5"}, 401),
]


@pytest.mark.parametrize(("body", "fields", "status"), WRONG)
async def test_refuses(wns: WnsStandIn, body: bytes, fields: dict[str, str], status: int) -> None:
    answer = await Client(wns).send(body, **fields)
    assert answer.status_code == status
    assert answer.headers["X-WNS-Error-Description"] == wns.refused[0].reason
    assert wns.received == []


async def test_an_access_token_ends(wns: WnsStandIn) -> None:
    them = Client(wns)
    assert (await them.send()).status_code == 200
    wns.granted = dict.fromkeys(wns.granted, 0.0)
    assert (await them.send()).status_code == 401
    granted = await them.grant()
    assert granted.json()["token_type"] == "bearer"
    assert granted.json()["expires_in"] == 86_400
    assert (await them.send()).status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "ms-app://stranger"}, "invalid_client"),
        ({"scope": "elsewhere"}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
async def test_grants_nothing(wns: WnsStandIn, changes: dict[str, str], code: str) -> None:
    answer = await Client(wns).grant(**changes)
    assert (answer.status_code, answer.json()["error"]) == (400, code)
    assert wns.granted == {}


async def test_by_azure(tmp_path: Path) -> None:
    async with WnsStandIn(tmp_path, app="0f0f-azure", tenant="tenant-1") as wns:
        them = Client(wns)
        scope = "https://wns.windows.com/.default"
        assert (await them.grant("/tenant-2/oauth2/v2.0/token", scope=scope)).status_code == 400
        wrong = await them.grant("/tenant-1/oauth2/v2.0/token", scope=scope, client_secret="wrong")
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
        assert (await them.grant("/tenant-1/oauth2/v2.0/token", scope=scope)).status_code == 200
        assert (await them.send()).status_code == 200


async def test_a_length_is_demanded(wns: WnsStandIn) -> None:
    them = Client(wns)
    await them.grant()
    context = wns.authority.client_context()
    reader, writer = await asyncio.open_connection("localhost", wns.port, ssl=context)
    path = wns.channel().removeprefix(wns.url)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {them.token}\r\n"
    writer.write(f"{head}X-WNS-Type: wns/toast\r\nContent-Type: text/xml\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert wns.refused[0].reason == "Content-Length is missing"
    writer.close()
    await asyncio.wait_for(writer.wait_closed(), 5)


async def test_channels(wns: WnsStandIn) -> None:
    them = Client(wns)
    gone, strange = wns.channel("gone"), wns.channel("strange")
    wns.fault("dead", token=gone)
    wns.devices[strange] = "ms-app://another"
    assert (await them.send(channel=gone)).status_code == 410
    assert (await them.send(channel=strange)).status_code == 403
    assert (await them.send(channel=f"{wns.url}/nonsense")).status_code == 404
    assert (await them.send()).status_code == 200


async def test_throttles(wns: WnsStandIn) -> None:
    them = Client(wns)
    await them.grant()
    wns.fault("status", status=406, retry_after=3, times=1)
    answer = await them.send()
    assert (answer.status_code, answer.headers["Retry-After"]) == (406, "3")
    wns.became = "channelthrottled"
    answer = await them.send()
    assert (answer.status_code, answer.headers["X-WNS-Status"]) == (200, "channelthrottled")


async def test_the_oauth_service_fails_by_itself(wns: WnsStandIn) -> None:
    wns.fault("status", status=503, where="token", times=1)
    them = Client(wns)
    assert (await them.grant()).status_code == 503
    assert (await them.send()).status_code == 200
