"""Our providers and our HTTP engine against the stand-ins, which judge by what the vendors document."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cluster.push.http.engine import Engine
from cluster.push.http.message import HttpRequest, HttpResponse
from cluster.push.providers.catalogue import Catalogue
from cluster.push.providers.provider import Answer
from cluster.push.push import Push
from cluster.push.settings import ProviderSettings
from tests.standins.apns import ApnsStandIn
from tests.standins.fcm import FcmStandIn
from tests.standins.kinds import KINDS
from tests.standins.standin import Options, StandIn
from tests.standins.web_push import WebPushStandIn
from tests.standins.webhook import WebhookStandIn
from tests.standins.wns import WnsStandIn

PUSH_ID = "6f1c2a34-5b6d-4e7f-8091-a2b3c4d5e6f7"
ALL = sorted(KINDS)


def settings(options: Options) -> ProviderSettings:
    """Of sections as they stand in a file: "apns."org.example.app"" is a table in a table."""
    tree: dict[str, Any] = {}
    for section, values in options.items():
        kind, _, app = section.partition(".")
        table = tree.setdefault(kind, {})
        (table.setdefault(app.strip('"'), {}) if app else table).update(values)
    return msgspec.convert(tree, ProviderSettings)


class Ours:
    """Sends one push after another, as a lane does but without retries."""

    def __init__(self, standin: StandIn, **changes: Any) -> None:
        options = standin.options()
        options["push"]["timeout"] = 5
        for section in options:
            if section != "push":
                options[section].update(changes)
        self.standin = standin
        self.catalogue = Catalogue(settings(options))
        self.engine = Engine()

    def push(self, **changes: Any) -> Push:
        """A call for a phone that the stand-in knows."""
        now, kind = int(time.time() * 1000), self.standin.kind
        token, app, parameters = "ab" * 32, "org.example.app", {}
        if isinstance(self.standin, FcmStandIn):
            token, app = "token:APA91b-0_x", self.standin.number
        elif isinstance(self.standin, WnsStandIn):
            token, app = self.standin.channel(), self.standin.app
        elif isinstance(self.standin, WebPushStandIn):
            subscription = self.standin.subscribe()
            token, keys = subscription["endpoint"], subscription["keys"]
            parameters = {"pn-p256dh": keys["p256dh"], "pn-auth": keys["auth"]}
        whole = Push(
            PUSH_ID,
            kind,
            app,
            token,
            "voip" if kind == "apns" else "data",
            "call",
            now,
            now + 30_000,
            device="<urn:uuid:1>",
            call_id="call-1@example.org",
            from_uri="sip:alice@example.org",
            from_name='Alice "Ä" <&>',
            to_uri="sip:bob@example.org",
            loc_key="IC_SIL",
            collapse="call-1@example.org",
            parameters=parameters,
        )
        return msgspec.structs.replace(whole, **changes)

    async def send(self, **changes: Any) -> Answer:
        push = self.push(**changes)
        provider = self.catalogue.of(push.provider)
        assert provider is not None
        assert provider.supports(push.provider, push.app) == ""
        grant = provider.grant(push, time.time())
        if grant is not None:
            granted = provider.granted(push, await self.exchange(grant), time.time())
            if granted.outcome != "accepted":
                return granted
        response = await self.exchange(provider.request(push, time.time()))
        return provider.answer(push, response, time.time())

    async def exchange(self, request: HttpRequest) -> HttpResponse:
        answered: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        self.engine.send(request, answered.set_result)
        return await asyncio.wait_for(answered, 15)


@asynccontextmanager
async def ours(standin: StandIn, **changes: Any) -> AsyncIterator[Ours]:
    one = Ours(standin, **changes)
    try:
        yield one
    finally:
        await one.engine.close()


@pytest.fixture
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StandIn]:
    async with KINDS[request.param](tmp_path) as standin:
        yield standin


every = pytest.mark.parametrize("service", ALL, indirect=True)
only = {kind: pytest.mark.parametrize("service", [kind], indirect=True) for kind in ALL}


@every
async def test_a_call_is_accepted(service: StandIn) -> None:
    async with ours(service) as one:
        answer = await one.send()
        assert answer.outcome == "accepted", (answer, service.refused)
        token = one.push().token
    (record,) = await service.wait_for(1)
    assert record.token == token
    assert "sip:alice@example.org" in json.dumps(record.payload)
    assert 'Alice "Ä" <&>' in json.dumps(record.payload, ensure_ascii=False).replace('\\"', '"')
    assert service.refused == []


@every
@pytest.mark.parametrize("kind", ["alert", "background", "data"])
@pytest.mark.parametrize("event", ["message", "refresh", "missed"])
async def test_every_kind_is_accepted(service: StandIn, kind: str, event: str) -> None:
    async with ours(service) as one:
        answer = await one.send(kind=kind, event=event, body="text", collapse="word " * 40)
        assert answer.outcome == "accepted", (answer, service.refused)


@every
async def test_long_names_still_fit(service: StandIn) -> None:
    long = {"from_name": "Ä" * 6000, "collapse": "Ä" * 500}
    if service.kind == "webhook":
        long["from_name"] = "Ä" * 600
    async with ours(service) as one:
        answer = await one.send(**long)
        assert answer.outcome == "accepted", (answer, service.refused)


@every
async def test_a_dead_token_is_dead(service: StandIn) -> None:
    async with ours(service) as one:
        service.fault("dead", token=one.push().token, since=1_700_000_000_123)
        answer = await one.send()
    assert answer.outcome == "dead"
    assert answer.dead_since == (1_700_000_000_123 if service.kind == "apns" else 0)


@every
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_may_pass_is_tried_again(service: StandIn, status: int) -> None:
    async with ours(service) as one:
        service.fault("status", status=status, retry_after=9, times=1)
        answer = await one.send()
        assert (answer.outcome, answer.status, answer.retry_after) == ("retry", status, 9.0)
        assert (await one.send()).outcome == "accepted"


@every
async def test_a_refused_stream_does_not_count(service: StandIn) -> None:
    """libcurl sends it again by itself: nobody has acted on it."""
    async with ours(service) as one:
        service.fault("refused", times=1)
        answer = await one.send()
    assert answer.outcome == "accepted"
    assert len(service.received) == 1


@every
@pytest.mark.parametrize("read", [True, False])
async def test_goaway_neither_loses_nor_doubles(service: StandIn, read: bool) -> None:
    async with ours(service) as one:
        assert (await one.send()).outcome == "accepted"
        service.fault("goaway", times=1, read=read)
        first = await one.send()
        answer = first if first.outcome == "accepted" else await one.send()
    assert answer.outcome == "accepted"
    assert len(service.received) == 2
    assert service.faults.met == {"goaway": 1}


@every
async def test_a_broken_connection_is_tried_again(service: StandIn) -> None:
    """Whether the push was read nobody can tell, so it may arrive twice, with the same id. On a connection
    that has served before (for the access token) libcurl itself tries again, else the lane has to."""
    served = service.kind in ("fcm", "wns")
    async with ours(service) as one:
        service.fault("reset", times=1, read=True)
        answer = await one.send()
        assert (answer.outcome, answer.status) == (("accepted", 200) if served else ("retry", 0))
        if not served:
            assert "broke before the answer" in answer.reason
            assert (await one.send()).outcome == "accepted"
    first, second = service.received
    assert first.payload == second.payload
    assert service.faults.met == {"reset": 1}


@every
async def test_a_black_hole_is_left_in_time(service: StandIn) -> None:
    async with ours(service) as one:
        service.fault("black_hole")
        one.catalogue = Catalogue(settings({**service.options(), "push": {"ca": service.ca, "timeout": 0.5}}))
        begun = time.monotonic()
        answer = await one.send()
        assert (answer.outcome, answer.status) == ("retry", 0)
        assert time.monotonic() - begun < 5
        service.clear("black_hole")
        assert (await one.send()).outcome == "accepted"


@only["apns"]
async def test_apns_credentials(service: ApnsStandIn) -> None:
    async with ours(service, key=str(service.other_key())) as one:
        answer = await one.send()
        assert (answer.outcome, answer.status) == ("credentials", 403)
        assert "InvalidProviderToken" in answer.reason
    async with ours(service, team="OTHERTEAM1") as one:
        assert (await one.send()).outcome == "credentials"


@only["apns"]
async def test_apns_of_another_team(service: ApnsStandIn) -> None:
    async with ours(service) as one:
        service.apps.clear()
        answer = await one.send()
    assert (answer.outcome, answer.status) == ("credentials", 400)
    assert "TopicDisallowed" in answer.reason


@only["apns"]
async def test_apns_by_certificate(service: ApnsStandIn) -> None:
    certificate = {"key": "", "key_id": "", "cert": str(service.certificate())}
    async with ours(service, **certificate) as one:
        assert (await one.send()).outcome == "accepted"
        assert (await one.send(kind="alert")).outcome == "accepted"
    assert all("authorization" not in record.headers for record in service.received)
    stranger = ApnsStandIn(service.folder / "stranger").certificate()
    async with ours(service, **{**certificate, "cert": str(stranger)}) as one:
        assert (await one.send()).outcome == "credentials"


@only["apns"]
async def test_apns_tokens(service: ApnsStandIn) -> None:
    async with ours(service) as one:
        service.devices["cd" * 32] = "org.example.other"
        answer = await one.send(token="cd" * 32)
        assert (answer.outcome, answer.reason.split(":")[0]) == ("refused", "DeviceTokenNotForTopic")
        answer = await one.send(token="ab" * 31)
        assert (answer.outcome, answer.reason.split(":")[0]) == ("dead", "BadDeviceToken")
        answer = await one.send(provider="apns.dev")
        assert answer.outcome == "accepted"
        service.fault("refuse", token="ef" * 32, reason="TooManyRequests")
        assert (await one.send(token="ef" * 32)).outcome == "retry"


@only["fcm"]
async def test_fcm_credentials(service: FcmStandIn) -> None:
    async with ours(service, service_account=str(service.other_account())) as one:
        answer = await one.send()
        assert (answer.outcome, answer.status) == ("credentials", 400)
        assert "Invalid JWT Signature" in answer.reason
    service.allowed = False
    async with ours(service) as one:
        answer = await one.send()
        assert (answer.outcome, answer.status) == ("credentials", 403)
        service.allowed = True
        service.fault("status", status=401, times=1)
        assert (await one.send()).outcome == "credentials"  # THIRD_PARTY_AUTH_ERROR


@only["fcm"]
async def test_fcm_access_tokens(service: FcmStandIn) -> None:
    async with ours(service) as one:
        service.fault("status", status=503, where="token", times=1)
        assert (await one.send()).outcome == "retry"
        assert (await one.send()).outcome == "accepted"
        service.granted.clear()
        assert (await one.send()).outcome == "retry"
        assert (await one.send()).outcome == "accepted"
        assert (await one.send()).outcome == "accepted"
    assert service.grants == 2


@only["fcm"]
async def test_fcm_tokens(service: FcmStandIn) -> None:
    async with ours(service) as one:
        service.devices["other-phone-1"] = "1234"
        assert (await one.send(token="other-phone-1")).outcome == "refused"
        answer = await one.send(token="short")
        assert (answer.outcome, answer.status) == ("dead", 400)


@only["wns"]
async def test_wns(service: WnsStandIn) -> None:
    async with ours(service, secret="wrong") as one:
        answer = await one.send()
        assert (answer.outcome, answer.status) == ("credentials", 400)
    async with ours(service) as one:
        assert (await one.send()).outcome == "accepted"
        for status, outcome in ((404, "dead"), (406, "retry"), (403, "refused"), (413, "refused")):
            service.fault("refuse", token=one.push().token, reason=str(status))
            answer = await one.send()
            assert (answer.outcome, answer.status) == (outcome, status)
        service.clear()
        service.granted.clear()
        assert (await one.send()).outcome == "retry"
        service.became = "channelthrottled"
        assert (await one.send()).outcome == "retry"
        service.became = "dropped"
        assert (await one.send()).outcome == "refused"


async def test_wns_by_azure(tmp_path: Path) -> None:
    async with WnsStandIn(tmp_path, app="0f0f-azure", tenant="tenant-1") as service, ours(service) as one:
        assert (await one.send(kind="alert")).outcome == "accepted"
        assert "<toast" in service.received[0].payload


@only["webpush"]
async def test_web_push(service: WebPushStandIn) -> None:
    async with ours(service, key=str(service.other_key())) as one:
        answer = await one.send()
        assert (answer.outcome, answer.status) == ("credentials", 403)
    async with ours(service) as one:
        assert (await one.send(parameters={})).outcome == "accepted"
        answer = await one.send(token=f"{service.url}/push/unknown")
        assert (answer.outcome, answer.status) == ("dead", 404)
        assert one.catalogue.offers()[-1].vapid == service.application_key
    assert service.received[0].payload is None
    assert service.received[0].headers["urgency"] == "high"


@only["webhook"]
async def test_webhook(service: WebhookStandIn) -> None:
    async with ours(service) as one:
        answer = await one.send(event="message", kind="alert", body="Grüße & ?=")
        assert answer.outcome == "accepted"
        service.fault("refuse", token=one.push().token, reason="401")
        assert (await one.send()).outcome == "credentials"
    (record,) = service.received
    assert record.method == "POST"
    assert record.payload["body"] == "Grüße & ?="
    query = record.payload["query"]
    assert (query["from-name"], query["event"]) == ('Alice "Ä" <&>', "message")
    assert (query["call-id"], query["uid"]) == ("call-1@example.org", "<urn:uuid:1>")


@pytest.mark.parametrize("kind", ["fcm", "wns", "webpush", "webhook"])
async def test_http_1_serves_too(kind: str, tmp_path: Path) -> None:
    async with KINDS[kind](tmp_path, http2=False) as standin, ours(standin) as one:
        assert (await one.send()).outcome == "accepted"
        assert standin.opened >= 1
