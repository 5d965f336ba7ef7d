"""Sends pushes: one lane for each provider and app, over one engine.

The decisions are in lane.py, breaker.py and the providers; here are the clock, the timers and the callbacks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import msgspec

from cluster.events import Emit
from cluster.push.http.message import Done as HttpDone
from cluster.push.http.message import HttpRequest, HttpResponse
from cluster.push.lane import Done, Entry, Lane, StillWanted
from cluster.push.providers.provider import Answer, Provider, Unsendable
from cluster.push.push import Push
from cluster.push.settings import PushSettings

LANES = 1000  # at most
UNUSED = 600.0  # s after which a lane without pushes is forgotten
GRACE = 2.0  # s that `close` waits for what is under way
ASKING = 1.0  # s for `still_wanted`; without an answer a push is wanted
_SHORTEST = 1.0  # s that a request is given even if its push expires before


class Sends(Protocol):
    """What the sender needs of the engine."""

    def send(self, request: HttpRequest, done: HttpDone) -> None: ...


class Sender:
    """One per node, on the loop's thread. The engine is the caller's to close, after this."""

    def __init__(
        self,
        engine: Sends,
        providers: Mapping[str, Provider],
        settings: PushSettings,
        emit: Emit,
        wall: Callable[[], float] = time.time,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        """`providers`: by values of Push.provider. `wall`: seconds since 1970, for the providers.
        `now_ms`: the store's clock, by which pushes expire; the wall's without it."""
        self._engine = engine
        self._providers = providers
        self._settings = settings
        self._emit = emit
        self._wall = wall
        self._now_ms = now_ms or (lambda: int(wall() * 1000))
        self._lanes: dict[str, Lane] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._pending: set[str] = set()
        self._asking: set[asyncio.Task[None]] = set()
        self._closing = self._closed = False
        self._drained = asyncio.Event()

    def lane(self, push: Push) -> str:
        """Its name, as the events have it; "" if no provider of that name is configured."""
        provider = self._providers.get(push.provider)
        return provider.lane(push) if provider is not None else ""

    def room(self, push: Push) -> bool:
        """Whether its lane takes another one now."""
        if self._closing:
            return False
        name = self.lane(push)
        lane = self._lanes.get(name)
        if lane is None:
            return not name or len(self._lanes) < LANES or any(other.idle for other in self._lanes.values())
        return not lane.full

    def submit(self, push: Push, done: Done, still_wanted: StillWanted | None = None) -> bool:
        """False if its lane is full: nothing happened. Else done(push, answer, attempts) is called once and
        later, with accepted, dead, refused, credentials or expired. Before an attempt is repeated,
        `still_wanted` is asked; if it says no, the push ends as expired, reason "withdrawn"."""
        if self._closing:
            return False
        loop = asyncio.get_running_loop()
        provider = self._providers.get(push.provider)
        if provider is None:
            text = f"no push service {push.provider!r} is configured"
            loop.call_soon(done, push, Answer("refused", 0, text), 0)
            return True
        now = loop.time()
        lane = self._open(provider.lane(push), now)
        if lane is None or lane.full:
            return False
        expires = now + (push.expires_at - self._now_ms()) / 1000
        lane.admit(Entry(push, provider, done, expires, still_wanted), now)
        if lane.name not in self._pending:
            self._pending.add(lane.name)
            loop.call_soon(self._pump, lane)
        return True

    def reload(self) -> None:
        """Keys or certificates may be others: lanes whose credentials were refused try at once."""
        for lane in list(self._lanes.values()):
            lane.retry_credentials()
            self._pump(lane)

    def lanes(self) -> list[dict[str, Any]]:
        """For status; `blocked` is the reason, empty if the lane is free."""
        return [
            {
                "name": lane.name,
                "waiting": lane.waiting,
                "under_way": lane.under_way,
                "blocked": lane.blocked,
                "sent": lane.sent,
                "failed": lane.failed,
            }
            for lane in self._lanes.values()
        ]

    async def close(self) -> None:
        """Begins nothing new, lets what is under way end for 2 s, and forgets the rest: its `done` is not
        called, for it is not final."""
        self._closing = True
        if any(lane.under_way for lane in self._lanes.values()):
            try:
                async with asyncio.timeout(GRACE):
                    await self._drained.wait()
            except TimeoutError:
                pass
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    # -- lanes

    def _open(self, name: str, now: float) -> Lane | None:
        lane = self._lanes.get(name)
        if lane is None and self._make_room(now):
            size, concurrency = self._settings.lane_size, self._settings.lane_concurrency
            lane = self._lanes[name] = Lane(name, size, concurrency, now)
        return lane

    def _make_room(self, now: float) -> bool:
        idle = [lane for lane in self._lanes.values() if lane.idle]
        unused = [lane for lane in idle if now - lane.used_at >= UNUSED]
        if not unused and len(self._lanes) >= LANES and idle:
            unused = [min(idle, key=lambda lane: lane.used_at)]
        for lane in unused:
            del self._lanes[lane.name]
            timer = self._timers.pop(lane.name, None)
            if timer is not None:
                timer.cancel()
        return len(self._lanes) < LANES

    def _pump(self, lane: Lane) -> None:
        """Begins what may begin, tells what has ended, and sets the timer for the rest."""
        self._pending.discard(lane.name)
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._closing:
            lane.expire(now)
            while (entry := lane.take(now)) is not None:
                self._begin(lane, entry)
        while lane.finished:
            self._tell(*lane.finished.popleft())
        while lane.events:
            self._emit(lane.events.pop(0))
        if self._closing:
            if not any(other.under_way for other in self._lanes.values()):
                self._drained.set()
            return
        self._arm(lane, lane.due(now), loop)

    def _arm(self, lane: Lane, due: float, loop: asyncio.AbstractEventLoop) -> None:
        timer = self._timers.get(lane.name)
        if timer is not None:
            if timer.when() <= due:
                return  # it comes early and is set anew then
            timer.cancel()
            del self._timers[lane.name]
        if due != float("inf"):
            self._timers[lane.name] = loop.call_at(due, self._on_timer, lane)

    def _on_timer(self, lane: Lane) -> None:
        self._timers.pop(lane.name, None)
        self._pump(lane)

    def _tell(self, entry: Entry, answer: Answer) -> None:
        try:
            entry.done(entry.push, answer, entry.attempts)
        except Exception as error:
            self._report("what waited for a push failed", error)

    # -- attempts

    def _begin(self, lane: Lane, entry: Entry) -> None:
        if entry.attempts and entry.still_wanted is not None:
            task = asyncio.get_running_loop().create_task(self._ask(lane, entry))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        else:
            self._attempt(lane, entry)

    async def _ask(self, lane: Lane, entry: Entry) -> None:
        assert entry.still_wanted is not None
        try:
            async with asyncio.timeout(ASKING):
                wanted = await entry.still_wanted(entry.push)
        except Exception:  # the store is away: rather twice than never
            wanted = True
        if not wanted:
            lane.drop(entry, Answer("expired", 0, "withdrawn"))
        elif lane.granting or self._closing:
            lane.give_back(entry)
        else:
            self._attempt(lane, entry)
        self._pump(lane)

    def _attempt(self, lane: Lane, entry: Entry) -> None:
        """Sends the request of a push, or the one for the access token before it."""
        provider, push = entry.provider, entry.push
        try:
            now = self._wall()
            grant = provider.grant(push, now)
            if grant is not None:
                self._fetch_token(lane, entry, grant)
                return
            request = provider.request(push, now)
        except Unsendable as error:
            lane.drop(entry, Answer("refused", 0, str(error)))
            return
        except Exception as error:
            lane.drop(entry, self._broken(lane, error))
            return
        entry.attempts += 1
        self._engine.send(self._limited(request, entry), partial(self._answered, lane, entry))

    def _fetch_token(self, lane: Lane, entry: Entry, grant: HttpRequest) -> None:
        if entry.grants >= 2:  # the provider is not content with what it just got
            answer = Answer("retry", 0, "each access token is refused at once")
            lane.grant_failed(entry, answer, True, asyncio.get_running_loop().time())
            entry.grants = 0
            return
        entry.grants += 1
        lane.granting = True
        self._engine.send(self._limited(grant, entry), partial(self._granted, lane, entry))

    def _granted(self, lane: Lane, entry: Entry, response: HttpResponse) -> None:
        if self._closed:
            return
        try:
            answer = entry.provider.granted(entry.push, response, self._wall())
        except Exception as error:
            answer = self._broken(lane, error)
        lane.granting = False
        now = asyncio.get_running_loop().time()
        if answer.outcome == "accepted":
            lane.granted()
            if self._closing:
                lane.give_back(entry)
            else:
                self._attempt(lane, entry)
        elif answer.outcome == "retry":
            lane.grant_failed(entry, answer, _answered(response), now)
        else:
            lane.settle(entry, answer, _answered(response), now)
        self._pump(lane)

    def _answered(self, lane: Lane, entry: Entry, response: HttpResponse) -> None:
        if self._closed:
            return
        try:
            answer = entry.provider.answer(entry.push, response, self._wall())
        except Exception as error:
            answer = self._broken(lane, error)
        lane.settle(entry, answer, _answered(response), asyncio.get_running_loop().time())
        self._pump(lane)

    def _limited(self, request: HttpRequest, entry: Entry) -> HttpRequest:
        left = entry.expires - asyncio.get_running_loop().time()
        limit = min(self._settings.timeout, max(left, _SHORTEST))
        return msgspec.structs.replace(request, timeout=limit) if request.timeout > limit else request

    def _broken(self, lane: Lane, error: Exception) -> Answer:
        self._report(f"push provider of lane {lane.name!r} failed", error)
        return Answer("refused", 0, f"internal error: {type(error).__name__}")

    def _report(self, text: str, error: Exception) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": text, "exception": error})


def _answered(response: HttpResponse) -> bool:
    return 0 < response.status < 500
