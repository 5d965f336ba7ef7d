"""The APNs stand-in, examined by aioapns.

Of aioapns 4.0: it sends to Apple's names only, hence the subclass; it never completes a push whose stream is
reset, and stalls after some 1200 refused pushes on a connection, so neither is tried with it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsTLSClientProtocol

from tests.standins.apns import ApnsStandIn
from tests.standins.process import StandInProcess

TOKEN = "ab" * 32
APP = "org.example.app"
ALERT = {"aps": {"alert": "hello"}}


@pytest.fixture
async def apns(tmp_path: Path) -> AsyncIterator[ApnsStandIn]:
    async with ApnsStandIn(tmp_path) as standin:
        yield standin


class Client:
    """aioapns, directed to a stand-in; it is closed with the test."""

    def __init__(
        self, port: int, standin: Any, key: str = "", certificate: str = "", topic: str = APP
    ) -> None:
        here = {"APNS_SERVER": "localhost", "APNS_PORT": port}
        credentials: dict[str, Any] = {"client_cert": certificate}
        if not certificate:
            key_file = Path(key) if key else standin.key
            credentials = {"key": key_file.read_text(), "key_id": "KEY1234567", "team_id": "TEAM123456"}
        self.apns = APNs(
            topic=topic,
            ssl_context=standin.authority.client_context(),
            max_connection_attempts=2,
            **credentials,
        )
        self.apns.pool.protocol_class = type("Here", (APNsTLSClientProtocol,), here)

    async def send(self, payload: dict[str, Any], token: str = TOKEN, **more: Any) -> tuple[str, str]:
        """Status and reason."""
        more.setdefault("push_type", PushType.ALERT)
        request = NotificationRequest(device_token=token, message=payload, **more)
        result = await asyncio.wait_for(self.apns.send_notification(request), 10)
        return result.status, result.description or ""

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.apns.pool.close()


def client(apns: ApnsStandIn, **more: Any) -> Client:
    return Client(apns.port, apns, **more)


async def test_takes_an_alert(apns: ApnsStandIn) -> None:
    async with client(apns) as them:
        told = await them.send(ALERT, time_to_live=60, priority=10, collapse_key="call")
    assert told == ("200", "")
    (push,) = await apns.wait_for(1)
    assert (push.token, push.payload, push.headers["apns-topic"]) == (TOKEN, ALERT, APP)
    assert push.headers["apns-collapse-id"] == "call"
    assert push.id == push.headers["apns-id"]
