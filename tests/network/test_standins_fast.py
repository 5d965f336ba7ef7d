"""Stand-ins that only count, met by aioapns and by libcurl."""

from __future__ import annotations

import asyncio
import io
import json
import time
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pycurl
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsTLSClientProtocol

from tests.standins.apns import ApnsStandIn
from tests.standins.fcm import GRANT, FcmStandIn
from tests.standins.process import StandInProcess

APP = "org.example.app"


def post(
    url: str, ca: str, body: bytes, fields: tuple[str, ...] = (), curl: pycurl.Curl | None = None
) -> tuple[int, bytes]:
    """Status and body, over HTTP/2."""
    one, got = curl or pycurl.Curl(), io.BytesIO()
    one.setopt(pycurl.URL, url)
    one.setopt(pycurl.CAINFO, ca)
    one.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
    one.setopt(pycurl.POSTFIELDS, body)
    one.setopt(pycurl.HTTPHEADER, list(fields))
    one.setopt(pycurl.TIMEOUT, 10)
    one.setopt(pycurl.WRITEFUNCTION, got.write)
    try:
        one.perform()
        assert one.getinfo(pycurl.INFO_HTTP_VERSION) == pycurl.CURL_HTTP_VERSION_2_0
        return one.getinfo(pycurl.RESPONSE_CODE), got.getvalue()
    finally:
        if curl is None:
            one.close()


async def test_counts_what_aioapns_sends(tmp_path: Path) -> None:
    standin = ApnsStandIn(tmp_path)
    standin.fast = True
    begun = time.time()
    async with standin:
        client = APNs(
            key=standin.key.read_text(),
            key_id="KEY1234567",
            team_id="TEAM123456",
            topic=APP,
            ssl_context=standin.authority.client_context(),
        )
        here = {"APNS_SERVER": "localhost", "APNS_PORT": standin.port}
        client.pool.protocol_class = type("Here", (APNsTLSClientProtocol,), here)
        requests = [
            NotificationRequest(f"{n:064x}", {"aps": {}, "wrong": "x" * 5000}, push_type=PushType.VOIP)
            for n in range(40)
        ]
        told = await asyncio.wait_for(asyncio.gather(*map(client.send_notification, requests)), 20)
        client.pool.close()
    assert {each.status for each in told} == {"200"}
    assert sorted(token for token, _ in standin.came) == [f"{n:064x}" for n in range(40)]
    assert all(begun <= at <= time.time() for _, at in standin.came)
    assert standin.received == standin.refused == []


def test_as_a_process_it_writes_what_came(tmp_path: Path) -> None:
    """More octets in all than the window of a connection that nobody credits."""
    with StandInProcess("apns", tmp_path, fast=True) as process:
        curl = pycurl.Curl()
        for n in range(30):
            assert post(f"{process.url}/3/device/{n:064x}", process.ca, b"x" * 60_000, curl=curl) == (
                200,
                b"",
            )
        assert [token for token, _ in process.came()] == [f"{n:064x}" for n in range(30)]
        assert post(f"{process.url}/3/device/last", process.ca, b"{}", curl=curl)[0] == 200
        curl.close()
    assert [token for token, _ in process.came()][30:] == ["last"]
    assert process.process.returncode == 0


def test_long_header_fields_are_read(tmp_path: Path) -> None:
    """They do not fit into one frame, but go on in CONTINUATION."""
    with StandInProcess("apns", tmp_path, fast=True) as process:
        fields = tuple(f"x-{n}: {chr(97 + n) * 7000}" for n in range(5))
        assert post(f"{process.url}/3/device/long", process.ca, b"{}", fields) == (200, b"")
        assert [token for token, _ in process.came()] == ["long"]


def test_fcm_still_grants_access(tmp_path: Path) -> None:
    with StandInProcess("fcm", tmp_path, fast=True) as process:
        account = json.loads((tmp_path / "service_account.json").read_text())
        now = int(time.time())
        claims = {
            "iss": account["client_email"],
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": account["token_uri"],
            "iat": now,
            "exp": now + 3600,
        }
        assertion = jwt.encode(claims, account["private_key"], "RS256", {"kid": account["private_key_id"]})
        form = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
        status, body = post(account["token_uri"], process.ca, form)
        assert (status, json.loads(body)["token_type"]) == (200, "Bearer")
        url = f"{process.url}/v1/projects/example-project/messages:send"
        for _ in range(3):
            status, body = post(url, process.ca, b'{"message": {"token": "phone"}}')
            assert (status, body) == (200, FcmStandIn.fast_answer)
        assert [token for token, _ in process.came()] == ["phone"] * 3
