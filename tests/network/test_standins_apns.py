"""The APNs stand-in, examined by aioapns.

Of aioapns 4.0: it sends to Apple's names only, hence the subclass; it never completes a push whose stream is
reset, and stalls after some 1200 refused pushes on a connection, so neither is tried with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsTLSClientProtocol, AuthorizationHeaderProvider
from aioapns.exceptions import MaxAttemptsExceeded

from tests.standins.apns import ApnsStandIn
from tests.standins.authority import Authority
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


async def test_takes_voip_on_its_own_topic_only(apns: ApnsStandIn) -> None:
    async with client(apns, topic=f"{APP}.voip") as them:
        assert await them.send({"aps": {}}, push_type=PushType.VOIP) == ("200", "")
        assert await them.send({"aps": {}}, push_type=PushType.ALERT) == ("400", "InvalidPushType")
        told = await them.send({"aps": {}}, push_type=PushType.VOIP, apns_topic=APP)
        assert told == ("400", "TopicDisallowed")
        told = await them.send({"aps": {}, "x": "y" * 5060}, push_type=PushType.VOIP)
        assert told == ("200", "")
    assert len(apns.received) == 2


REFUSALS: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (ALERT, {"token": "ab" * 31}, "400", "BadDeviceToken"),
    (ALERT, {"token": "zz" * 32}, "400", "BadDeviceToken"),
    (ALERT, {"token": "cd" * 32}, "400", "DeviceTokenNotForTopic"),
    (ALERT, {"token": ""}, "400", "MissingDeviceToken"),
    (ALERT, {"token": "a/b"}, "404", "BadPath"),
    (ALERT, {"apns_topic": "org.example.stranger"}, "400", "TopicDisallowed"),
    (ALERT, {"apns_topic": "no topic"}, "400", "BadTopic"),
    (ALERT, {"priority": 7}, "400", "BadPriority"),
    (ALERT, {"collapse_key": "c" * 65}, "400", "BadCollapseId"),
    (ALERT, {"notification_id": "not-a-uuid"}, "400", "BadMessageId"),
    (ALERT, {"time_to_live": -(10**13)}, "400", "BadExpirationDate"),
    (ALERT, {"push_type": PushType.BACKGROUND, "priority": 5}, "400", "InvalidPushType"),
    (
        {"aps": {"content-available": 1}},
        {"push_type": PushType.BACKGROUND, "priority": 10},
        "400",
        "BadPriority",
    ),
    ({"aps": {"alert": "a" * 4096}}, {}, "413", "PayloadTooLarge"),
    ({"other": 1}, {}, "400", "PayloadEmpty"),
]


@pytest.mark.parametrize(("payload", "more", "status", "reason"), REFUSALS)
async def test_refuses(
    apns: ApnsStandIn, payload: dict[str, Any], more: dict[str, Any], status: str, reason: str
) -> None:
    apns.devices["cd" * 32] = "org.example.other"
    async with client(apns) as them:
        assert await them.send(payload, **more) == (status, reason)
    assert [(push.status, push.reason) for push in apns.refused] == [(int(status), reason)]
    assert apns.received == []


async def test_takes_background_pushes(apns: ApnsStandIn) -> None:
    async with client(apns) as them:
        background = {"push_type": PushType.BACKGROUND, "priority": 5}
        assert await them.send({"aps": {"content-available": 1}}, **background) == ("200", "")


async def test_tells_since_when_a_token_is_dead(apns: ApnsStandIn) -> None:
    apns.fault("dead", token=TOKEN, since=1_700_000_000_123)
    async with client(apns) as them:
        request = NotificationRequest(device_token=TOKEN, message=ALERT)
        result = await asyncio.wait_for(them.apns.send_notification(request), 10)
        assert (result.status, result.description) == ("410", "Unregistered")
        assert result.timestamp == 1_700_000_000_123
        assert await them.send(ALERT, token="ef" * 32) == ("200", "")


async def test_a_key_must_be_the_teams(apns: ApnsStandIn) -> None:
    async with client(apns, key=str(apns.other_key())) as them:
        assert await them.send(ALERT) == ("403", "InvalidProviderToken")
    apns.keys["KEY1234567"] = ("OTHERTEAM1", apns.keys["KEY1234567"][1])
    async with client(apns) as them:
        assert await them.send(ALERT) == ("403", "InvalidProviderToken")


async def test_a_provider_token_ends(apns: ApnsStandIn) -> None:
    apns.token_life = -1
    async with client(apns) as them:
        assert await them.send(ALERT) == ("403", "ExpiredProviderToken")


class Signed(AuthorizationHeaderProvider):
    """A provider token of that age."""

    def __init__(self, apns: ApnsStandIn, age: int) -> None:
        claims = {"iss": apns.team, "iat": int(time.time()) - age}
        self.token = jwt.encode(claims, apns.key.read_text(), "ES256", {"kid": apns.key_id})

    def get_header(self) -> str:
        return f"bearer {self.token}"


async def test_provider_tokens_must_not_change_often(apns: ApnsStandIn) -> None:
    """On one connection: another provider has a token of its own."""
    tokens = [Signed(apns, age) for age in (100, 50, 0)]
    async with client(apns) as them:
        assert await them.send(ALERT) == ("200", "")
        (connection,) = them.apns.pool.connections
        told = []
        for token in (tokens[0], tokens[1], tokens[0], tokens[2]):
            connection.auth_provider = token
            told.append(await them.send(ALERT))
        too_many = ("429", "TooManyProviderTokenUpdates")
        assert told == [("200", ""), too_many, ("200", ""), too_many]
    async with client(apns) as them:
        assert await them.send(ALERT) == ("200", "")


@pytest.mark.parametrize("age", [3500, 3700])
async def test_a_provider_token_is_good_for_an_hour(apns: ApnsStandIn, age: int) -> None:
    async with client(apns) as them:
        assert await them.send(ALERT) == ("200", "")
        (connection,) = them.apns.pool.connections
        connection.auth_provider = Signed(apns, age)
        wanted = ("200", "") if age < 3600 else ("403", "ExpiredProviderToken")
        assert await them.send(ALERT) == wanted


async def test_takes_certificates_instead(apns: ApnsStandIn) -> None:
    async with client(apns, certificate=str(apns.certificate())) as them:
        assert await them.send(ALERT) == ("200", "")
        told = await them.send(ALERT, apns_topic="org.example.stranger")
        assert told == ("400", "TopicDisallowed")


async def test_a_certificate_of_somebody_else_is_no_connection(apns: ApnsStandIn, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger").client_certificate("client.pem", (APP,))
    async with client(apns, certificate=str(stranger)) as them:
        with pytest.raises(MaxAttemptsExceeded):
            await them.send(ALERT)
    assert apns.received == apns.refused == []


async def test_no_credentials_at_all(apns: ApnsStandIn) -> None:
    async with client(apns, certificate=str(apns.certificate())) as them:
        them.apns.pool.ssl_context = apns.authority.client_context()
        assert await them.send(ALERT) == ("403", "MissingProviderToken")


FAILURES = [(429, "TooManyRequests"), (500, "InternalServerError"), (503, "ServiceUnavailable")]


@pytest.mark.parametrize(("status", "reason"), [*FAILURES, (503, "Shutdown")])
async def test_fails_on_demand(apns: ApnsStandIn, status: int, reason: str) -> None:
    apns.fault("status", status=status, reason=reason if reason == "Shutdown" else "", times=1)
    async with client(apns) as them:
        assert await them.send(ALERT) == (str(status), reason)
        assert await them.send(ALERT) == ("200", "")


async def test_goes_away_before_a_push_is_read(apns: ApnsStandIn) -> None:
    apns.fault("goaway", times=1)
    async with client(apns) as them:
        assert await them.send(ALERT) == ("200", "")
    assert len(apns.received) == 1
    assert apns.opened == 2


async def test_resets_connections(apns: ApnsStandIn) -> None:
    apns.fault("reset", times=1, read=True)
    async with client(apns) as them:
        assert await them.send(ALERT) == ("200", "")
    assert len(apns.received) == 2  # aioapns sends it again though it had been read
    assert apns.received[0].id == apns.received[1].id


async def test_answers_slowly(apns: ApnsStandIn) -> None:
    apns.fault("slow", seconds=0.3)
    async with client(apns) as them:
        begun = time.monotonic()
        assert await them.send(ALERT) == ("200", "")
        assert 0.3 <= time.monotonic() - begun < 5


async def test_a_black_hole_swallows_old_and_new_connections(apns: ApnsStandIn) -> None:
    async with client(apns) as them:
        assert await them.send(ALERT) == ("200", "")
        apns.fault("black_hole")
        waiting = asyncio.ensure_future(them.send(ALERT))
        _, writer = await asyncio.open_connection("127.0.0.1", apns.port)
        greeting = asyncio.ensure_future(
            asyncio.open_connection("127.0.0.1", apns.port, ssl=insecure(apns), server_hostname="localhost")
        )
        done, _ = await asyncio.wait({waiting, greeting}, timeout=0.3)
        assert not done
        apns.clear("black_hole")
        assert await waiting == ("200", "")
        _, greeted = await asyncio.wait_for(greeting, 5)
        for each in (writer, greeted):
            each.close()
            await asyncio.wait_for(each.wait_closed(), 5)


def insecure(apns: ApnsStandIn) -> ssl.SSLContext:
    context = apns.authority.client_context()
    context.set_alpn_protocols(["h2"])
    return context


async def test_speaks_http2_only(apns: ApnsStandIn) -> None:
    context = apns.authority.client_context()
    context.set_alpn_protocols(["http/1.1"])
    reader, writer = await asyncio.open_connection("localhost", apns.port, ssl=context)
    writer.write(b"POST /3/device/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    assert not answer.startswith(b"HTTP/1")
    writer.close()
    with contextlib.suppress(OSError):
        await asyncio.wait_for(writer.wait_closed(), 5)


class Plain:
    """What the client needs of a stand-in that runs in another process."""

    def __init__(self, process: StandInProcess) -> None:
        self.authority = Authority(process.folder)
        self.key = Path(process.options()['apns."org.example.app"']["key"])


async def test_as_a_process_of_its_own(tmp_path: Path) -> None:
    process = await asyncio.to_thread(StandInProcess, "apns", tmp_path)
    try:
        async with Client(process.port, Plain(process)) as them:
            assert await them.send(ALERT) == ("200", "")
            (push,) = await asyncio.to_thread(process.wait_push, 1)
            assert (push["token"], push["payload"]) == (TOKEN, ALERT)
            await asyncio.to_thread(lambda: process.fault("dead", token=TOKEN, since=5))
            assert await them.send(ALERT) == ("410", "Unregistered")
            await asyncio.to_thread(process.clear)
            assert await them.send(ALERT) == ("200", "")
        with pytest.raises(ValueError, match="no fault"):
            process.fault("nonsense")
        written = (tmp_path / "pushes.jsonl").read_text().splitlines()
        assert [json.loads(line)["token"] for line in written] == [TOKEN, TOKEN]
        assert [each["reason"] for each in process.refused()] == ["Unregistered"]
    finally:
        await asyncio.to_thread(process.stop)
    assert process.process.returncode == 0


def test_started_again_it_has_the_same_keys_and_port(tmp_path: Path) -> None:
    with StandInProcess("apns", tmp_path) as first:
        options, key = first.options(), (tmp_path / "AuthKey_KEY1234567.p8").read_bytes()
    with StandInProcess("apns", tmp_path, first.port) as second:
        assert second.options() == options
        assert (tmp_path / "AuthKey_KEY1234567.p8").read_bytes() == key
