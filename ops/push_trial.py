"""One push sent directly to its provider, and what became of it: no node, no queue, no retries.

Push ─► provider.grant ─► (access token) ─► provider.request ─► Engine ─► provider.answer ─► Trial
"""

import asyncio
import time
import uuid
from typing import Literal

import msgspec

from cluster.push.http.engine import Engine
from cluster.push.http.message import HttpRequest, HttpResponse
from cluster.push.providers.catalogue import Catalogue
from cluster.push.providers.provider import Answer, Provider, Unsendable
from cluster.push.push import Event, Kind, Push
from cluster.push.settings import ProviderSettings

Occasion = Literal["call", "message", "background"]

LIFE = 60  # s that the provider may try to deliver it
EVENTS: dict[Occasion, Event] = {"call": "call", "message": "message", "background": "refresh"}
APPLE: dict[Occasion, Kind] = {"call": "voip", "message": "alert", "background": "background"}
TEXTS = {"call": "IC_MSG", "message": "IM_MSG", "refresh": ""}

ADVICE = {
    "accepted": "If the phone shows nothing, look at the phone: is the app installed and allowed to notify, "
    "and is this the token that it has now?",
    "dead": "The app was removed from the phone or has a newer token: let the phone register again.",
    "retry": "The provider could not take it now. A node would try again until the push expires; try again "
    "later, and look at the provider's status page.",
    "refused": "This push can never be sent as it is: compare --app, --kind and --prid with what the app "
    "registers (clarion explain push AOR).",
    "credentials": "Ours are wrong: compare the options of this app with what the provider's console shows, "
    "and see clarion config check FILE.",
    "expired": "Its time was over before it could be sent.",
}


class Trial(msgspec.Struct, frozen=True):
    """What came of it. `advice` says what to do, `milliseconds` how long the provider took."""

    provider: str
    app: str
    kind: str
    outcome: str
    status: int
    reason: str
    milliseconds: int
    advice: str


class NotSetUp(Exception):
    """Nothing can be sent to that provider and app; the text says what to configure."""


def provider_of(catalogue: Catalogue, name: str, app: str) -> Provider:
    """Raises NotSetUp."""
    provider = catalogue.of(name)
    if provider is None:
        known = ", ".join(sorted(catalogue.providers))
        raise NotSetUp(f"--provider {name}: there is none of that name; there are {known}")
    if missing := catalogue.supports(name, app):
        raise NotSetUp(missing)
    return provider


def push_of(provider: str, app: str, token: str, occasion: Occasion, now: float) -> Push:
    """What an operator's push looks like."""
    event = EVENTS[occasion]
    kind: Kind = APPLE[occasion] if provider.startswith("apns") else "data"
    identity = str(uuid.uuid4())
    return Push(
        id=identity,
        provider=provider,
        app=app,
        token=token,
        kind=kind,
        event=event,
        created_at=int(now * 1000),
        expires_at=int((now + LIFE) * 1000),
        call_id=f"trial-{identity}",
        from_uri="sip:operator@localhost",
        from_name="Clarion",
        to_uri="sip:trial@localhost",
        loc_key=TEXTS[event],
        loc_args=("Clarion",) if event != "refresh" else (),
        body="A trial of your operator." if event == "message" else "",
    )


async def try_push(
    settings: ProviderSettings, provider: str, app: str, token: str, occasion: Occasion
) -> Trial:
    """Sends one push. Raises NotSetUp."""
    chosen = provider_of(Catalogue(settings), provider, app)
    push = push_of(provider, app, token, occasion, time.time())
    engine = Engine()
    begun = time.monotonic()
    try:
        answer = await _sent(engine, chosen, push)
    except Unsendable as error:
        answer = Answer("refused", 0, str(error))
    finally:
        await engine.close()
    return Trial(
        provider,
        app,
        push.kind,
        answer.outcome,
        answer.status,
        answer.reason,
        round(1000 * (time.monotonic() - begun)),
        ADVICE[answer.outcome],
    )


async def _sent(engine: Engine, provider: Provider, push: Push) -> Answer:
    grant = provider.grant(push, time.time())
    if grant is not None:
        answer = provider.granted(push, await _exchange(engine, grant), time.time())
        if answer.outcome != "accepted":
            return answer
    response = await _exchange(engine, provider.request(push, time.time()))
    return provider.answer(push, response, time.time())


async def _exchange(engine: Engine, request: HttpRequest) -> HttpResponse:
    arrived: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
    engine.send(request, lambda response: None if arrived.done() else arrived.set_result(response))
    return await arrived
