"""What faults look like on the wire: frames read one by one, without any client between that hides them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import h2.config
import h2.connection
import h2.events
import jwt
import pytest
from hyperframe.frame import Frame, GoAwayFrame, HeadersFrame

from tests.standins.apns import ApnsStandIn

REFUSED_STREAM, CANCEL = 7, 8


@pytest.fixture
async def apns(tmp_path: Path) -> AsyncIterator[ApnsStandIn]:
    async with ApnsStandIn(tmp_path) as standin:
        yield standin


class Wire:
    """One connection; `closed` once the stand-in has ended it."""

    def __init__(self, apns: ApnsStandIn) -> None:
        self.apns = apns
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.events: list[h2.events.Event] = []
        self.closed = False
        claims = {"iss": apns.team, "iat": int(time.time())}
        self.token = jwt.encode(claims, apns.key.read_text(), "ES256", {"kid": apns.key_id})

    async def __aenter__(self) -> Wire:
        context = self.apns.authority.client_context()
        context.set_alpn_protocols(["h2"])
        self.reader, self.writer = await asyncio.open_connection("localhost", self.apns.port, ssl=context)
        self.h2.initiate_connection()
        self.flush()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def push(self, body: bytes = b'{"aps": {"alert": "x"}}', twice: str = "", **fields: str) -> int:
        """Its stream. Fields that are "" are left out; the one named `twice` is sent so."""
        headers = {
            ":method": "POST",
            ":scheme": "https",
            ":authority": "localhost",
            ":path": f"/3/device/{'ab' * 32}",
            "authorization": f"bearer {self.token}",
            "apns-topic": "org.example.app",
            "apns-push-type": "alert",
        }
        stream = self.h2.get_next_available_stream_id()
        sent = [(name, value) for name, value in {**headers, **fields}.items() if value]
        sent += [(name, value) for name, value in sent if name == twice]
        self.h2.send_headers(stream, sent)
        self.h2.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    async def until(self, kind: type[h2.events.Event], stream: int | None = None) -> Any:
        """The first event of that kind, of that stream."""
        async with asyncio.timeout(5):
            while True:
                for event in self.events:
                    if isinstance(event, kind) and stream in (None, getattr(event, "stream_id", None)):
                        return event
                data = await self.reader.read(65_536)
                if not data:
                    self.closed = True
                    raise ConnectionResetError("closed")
                self.events += self.h2.receive_data(data)
                self.flush()

    async def end(self) -> None:
        """Until the stand-in closes it."""
        async with asyncio.timeout(5):
            while await self.reader.read(65_536):
                pass

    async def status(self, stream: int) -> str:
        event = await self.until(h2.events.ResponseReceived, stream)
        return str(dict(event.headers)[":status"])


def frames_of(octets: bytes) -> list[Any]:
    """h2 itself reads no more after a GOAWAY."""
    found = []
    while octets:
        frame, size = Frame.parse_frame_header(memoryview(octets[:9]))
        frame.parse_body(memoryview(octets[9 : 9 + size]))
        found.append(frame)
        octets = octets[9 + size :]
    return found


async def test_a_thousand_streams_at_a_time(apns: ApnsStandIn) -> None:
    async with Wire(apns) as wire:
        event = await wire.until(h2.events.RemoteSettingsChanged)
        limit = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
        assert event.changed_settings[limit].new_value == 1000
        wire.h2.ping(b"12345678")
        wire.flush()
        assert (await wire.until(h2.events.PingAckReceived)).ping_data == b"12345678"


async def test_goaway_before_the_push(apns: ApnsStandIn) -> None:
    async with Wire(apns) as wire:
        first = wire.push()
        assert await wire.status(first) == "200"
        apns.fault("goaway", times=1)
        wire.push()
        event = await wire.until(h2.events.ConnectionTerminated)
        assert (event.last_stream_id, event.error_code) == (first, 0)
        await wire.end()
    assert len(apns.received) == 1


async def test_goaway_after_the_push(apns: ApnsStandIn) -> None:
    """It is answered; what was sent after it was not read."""
    async with Wire(apns) as wire:
        await wire.until(h2.events.RemoteSettingsChanged)
        apns.fault("goaway", times=1, read=True)
        taken, lost = wire.push(), wire.push()
        frames = frames_of(await asyncio.wait_for(wire.reader.read(), 5))
    goaway = next(at for at, frame in enumerate(frames) if isinstance(frame, GoAwayFrame))
    assert frames[goaway].last_stream_id == taken
    answers = [frame for frame in frames[goaway:] if isinstance(frame, HeadersFrame)]
    assert [(frame.stream_id, "END_STREAM" in frame.flags) for frame in answers] == [(taken, True)]
    assert lost > taken
    assert len(apns.received) == 1


@pytest.mark.parametrize("code", [REFUSED_STREAM, CANCEL])
async def test_streams_are_refused_one_by_one(apns: ApnsStandIn, code: int) -> None:
    async with Wire(apns) as wire:
        apns.fault("refused", times=1, code=code)
        refused, taken = wire.push(), wire.push()
        assert (await wire.until(h2.events.StreamReset, refused)).error_code == code
        assert await wire.status(taken) == "200"
    assert len(apns.received) == 1


@pytest.mark.parametrize("read", [True, False])
async def test_a_stream_stays_silent_and_others_do_not(apns: ApnsStandIn, read: bool) -> None:
    async with Wire(apns) as wire:
        apns.fault("silent", times=1, read=read)
        silent, answered = wire.push(), wire.push()
        assert await wire.status(answered) == "200"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.status(silent), 0.2)
    assert len(apns.received) == (2 if read else 1)


async def test_a_body_waits_for_the_window(apns: ApnsStandIn) -> None:
    async with Wire(apns) as wire:
        wire.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 5})
        wire.flush()
        await wire.until(h2.events.SettingsAcknowledged)
        stream = wire.push(**{"apns-topic": ""})
        assert await wire.status(stream) == "400"
        wire.h2.ping(b"12345678")  # its answer comes after everything that was to be sent
        wire.flush()
        await wire.until(h2.events.PingAckReceived)
        assert not any(isinstance(event, h2.events.DataReceived) for event in wire.events)
        wire.h2.increment_flow_control_window(100, stream)
        wire.flush()
        assert (await wire.until(h2.events.DataReceived, stream)).data == b'{"reason": "MissingTopic"}'


async def test_a_slow_answer_holds_nobody_up(apns: ApnsStandIn) -> None:
    async with Wire(apns) as wire:
        apns.fault("slow", seconds=0.3, times=1)
        begun = time.monotonic()
        slow, quick = wire.push(), wire.push()
        assert await wire.status(quick) == "200"
        assert not any(getattr(event, "stream_id", 0) == slow for event in wire.events)
        assert await wire.status(slow) == "200"
        assert time.monotonic() - begun >= 0.3
    assert len(apns.received) == 2


async def test_identifies_pushes(apns: ApnsStandIn) -> None:
    """apns-id is echoed or made; apns-unique-id is the sandbox's."""
    async with Wire(apns) as wire:
        given = "6F1C2A34-5B6D-4E7F-8091-A2B3C4D5E6F7"
        headers = dict(
            (await wire.until(h2.events.ResponseReceived, wire.push(**{"apns-id": given}))).headers
        )
        assert headers["apns-id"] == given
        assert "apns-unique-id" not in headers
        apns.sandbox = True
        headers = dict((await wire.until(h2.events.ResponseReceived, wire.push())).headers)
        assert UUID(headers["apns-id"]) != UUID(headers["apns-unique-id"])
        refused = wire.push(**{"apns-id": given, "apns-topic": "org.example.stranger"})
        headers = dict((await wire.until(h2.events.ResponseReceived, refused)).headers)
        assert (headers[":status"], headers["apns-id"]) == ("400", given)


VOIP = {"apns-push-type": "voip", "apns-topic": "org.example.app.voip"}
BACKGROUND = {"apns-push-type": "background", "apns-priority": "5"}
REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({":method": "GET"}, "405", "MethodNotAllowed"),
    ({"twice": "apns-topic"}, "400", "DuplicateHeaders"),
    ({"apns-topic": ""}, "400", "MissingTopic"),
    ({"apns-push-type": "nonsense"}, "400", "InvalidPushType"),
    ({"apns-priority": "7"}, "400", "BadPriority"),
    ({"apns-expiration": "soon"}, "400", "BadExpirationDate"),
    ({"authorization": ""}, "403", "MissingProviderToken"),
    ({"authorization": "basic eDp5"}, "403", "InvalidProviderToken"),
    ({"authorization": "bearer no.token.atall"}, "403", "InvalidProviderToken"),
    ({":path": "/3/devices/x"}, "404", "BadPath"),
    ({"body": b""}, "400", "PayloadEmpty"),
    ({"body": b"[1]"}, "400", "PayloadEmpty"),
    ({"body": b"{"}, "400", "PayloadEmpty"),
    ({"body": b'{"aps": {}, "x": "%s"}' % (b"y" * 4077)}, "413", "PayloadTooLarge"),
    ({**VOIP, "body": b'{"aps": {}, "x": "%s"}' % (b"y" * 5101)}, "413", "PayloadTooLarge"),
    ({**BACKGROUND, "body": b'{"aps": {"content-available": 1, "alert": "x"}}'}, "400", "InvalidPushType"),
]


@pytest.mark.parametrize(("changes", "status", "reason"), REFUSALS)
async def test_refuses_what_aioapns_cannot_send(
    apns: ApnsStandIn, changes: dict[str, Any], status: str, reason: str
) -> None:
    async with Wire(apns) as wire:
        stream = wire.push(**changes)
        assert await wire.status(stream) == status
        body = (await wire.until(h2.events.DataReceived, stream)).data
    assert json.loads(body) == {"reason": reason}
    assert [push.reason for push in apns.refused] == [reason]
    assert apns.received == []


async def test_sizes_are_taken_to_the_last_octet(apns: ApnsStandIn) -> None:
    async with Wire(apns) as wire:
        for fields, size in (({}, 4096), (VOIP, 5120)):
            body = b'{"aps": {}, "x": "%s"}' % (b"y" * (size - 20))
            assert len(body) == size
            assert await wire.status(wire.push(body, **fields)) == "200"


async def test_a_token_from_the_future_is_none(apns: ApnsStandIn) -> None:
    async with Wire(apns) as wire:
        claims = {"iss": apns.team, "iat": int(time.time()) + 1000}
        wire.token = jwt.encode(claims, apns.key.read_text(), "ES256", {"kid": apns.key_id})
        assert await wire.status(wire.push()) == "403"
    assert apns.refused[0].reason == "InvalidProviderToken"


async def test_a_push_that_is_taken_back_is_not_read(apns: ApnsStandIn) -> None:
    async with Wire(apns) as wire:
        stream = wire.h2.get_next_available_stream_id()
        path = f"/3/device/{'cd' * 32}"
        fields = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        wire.h2.send_headers(stream, fields)
        wire.h2.reset_stream(stream, CANCEL)
        assert await wire.status(wire.push()) == "200"
    assert len(apns.received) == 1
    assert apns.refused == []


async def test_broken_frames_end_the_connection(apns: ApnsStandIn) -> None:
    async with Wire(apns) as wire:
        await wire.until(h2.events.RemoteSettingsChanged)
        wire.writer.write(b"\x00\x00\x01\x04\x00\x00\x00\x00\x00x")  # SETTINGS of one octet
        event = await wire.until(h2.events.ConnectionTerminated)
        assert event.error_code != 0
        await wire.end()
    async with Wire(apns) as wire:
        assert await wire.status(wire.push()) == "200"
