"""The sender with a scripted engine, on a loop whose time passes at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from cluster.events import Event
from cluster.push.events import CredentialsRefused, LaneBlocked, LaneFree
from cluster.push.http.message import Done, HttpRequest, HttpResponse
from cluster.push.providers.provider import Answer, Unsendable, Warned
from cluster.push.push import Push
from cluster.push.sender import LANES, Sender
from cluster.push.settings import PushSettings

Script = Callable[[HttpRequest], tuple[float, HttpResponse] | None]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Where nothing but timers is left to wait for, it is their time."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Impatient(self))

    def time(self) -> float:
        return self.now


class _Impatient(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for ever"
            self._loop.now += timeout
        return ready


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(asyncio.wait_for(test(), 100_000))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class FakeEngine:
    """Answers as scripted, after the seconds given; None: never. `under_way` shows what it was asked."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.sent: list[tuple[float, HttpRequest]] = []
        self.most = self.under_way = 0

    def send(self, request: HttpRequest, done: Done) -> None:
        loop = asyncio.get_running_loop()
        self.sent.append((loop.time() - 1000.0, request))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        reply = self.script(request)
        if reply is not None:
            loop.call_later(min(reply[0], request.timeout), self._answer, done, reply[1])

    def _answer(self, done: Done, response: HttpResponse) -> None:
        self.under_way -= 1
        done(response)


class FakeProvider:
    """Status 410 is dead, 400 refused, 403 credentials; a token is needed first if `tokens`."""

    names = ("fake", "other")

    def __init__(self, tokens: bool = False) -> None:
        self.token = not tokens
        self.unsendable = ""

    def supports(self, provider: str, app: str) -> str:
        return ""

    def lane(self, push: Push) -> str:
        return f"{push.provider} {push.app}"

    def grant(self, push: Push, now: float) -> HttpRequest | None:
        return None if self.token else HttpRequest("POST", "https://token.example/")

    def granted(self, push: Push, response: HttpResponse, now: float) -> Answer:
        self.token = response.status == 200
        outcome = {200: "accepted", 401: "credentials"}.get(response.status, "retry")
        return Answer(outcome, response.status, response.error or outcome)  # type: ignore[arg-type]

    def request(self, push: Push, now: float) -> HttpRequest:
        if self.unsendable:
            raise Unsendable(self.unsendable)
        if push.token == "bug":
            raise KeyError("bug")
        return HttpRequest("POST", f"https://{push.app}.example/{push.id}", timeout=60.0)

    def answer(self, push: Push, response: HttpResponse, now: float) -> Answer:
        outcome = {200: "accepted", 410: "dead", 400: "refused", 403: "credentials"}.get(
            response.status, "retry"
        )
        wait = float(response.headers.get("retry-after", 0))
        return Answer(outcome, response.status, response.error or outcome, wait)  # type: ignore[arg-type]

    def warnings(self, now: float) -> list[Warned]:
        return []

    def reload(self) -> None:
        pass


OK = HttpResponse(200)
TIMED_OUT = (5.0, HttpResponse(0, error="no answer"))


def always(response: HttpResponse, after: float = 0.01) -> Script:
    return lambda _: (after, response)


class Bench:
    """A sender, and a list of what it said."""

    def __init__(self, script: Script, tokens: bool = False, **settings: Any) -> None:
        self.engine = FakeEngine(script)
        self.provider = FakeProvider(tokens)
        self.events: list[Event] = []
        self.ended: list[tuple[str, str, int, float]] = []
        self.reasons: list[str] = []
        loop = asyncio.get_running_loop()
        providers = dict.fromkeys(FakeProvider.names, self.provider)
        self.sender = Sender(
            self.engine, providers, PushSettings(**settings), self.events.append, loop.time, self.now_ms
        )
        self._wanted = 0
        self._over = asyncio.Event()

    def now_ms(self) -> int:
        return int(asyncio.get_running_loop().time() * 1000)

    def submit(self, name: str, life: float = 60.0, app: str = "a", **fields: Any) -> bool:
        still_wanted = fields.pop("still_wanted", None)
        now = self.now_ms()
        push = Push(name, "fake", app, "token", "voip", "call", now, now + int(life * 1000))
        taken = self.sender.submit(msgspec.structs.replace(push, **fields), self.done, still_wanted)
        self._wanted += taken
        self._over.clear()
        return taken

    def done(self, push: Push, answer: Answer, attempts: int) -> None:
        at = round(asyncio.get_running_loop().time() - 1000.0, 2)
        self.ended.append((push.id, answer.outcome, attempts, at))
        self.reasons.append(answer.reason)
        if len(self.ended) == self._wanted:
            self._over.set()

    async def all_ended(self) -> None:
        await self._over.wait()
        await self.sender.close()


@in_virtual_time
async def test_final_answers_are_told_once() -> None:
    statuses = {"a": 200, "b": 410, "c": 400}
    bench = Bench(lambda request: (0.01, HttpResponse(statuses[request.url[-1]])))
    assert all(bench.submit(name) for name in "abc")
    assert bench.ended == []  # never within submit
    await bench.all_ended()

    assert bench.ended == [("a", "accepted", 1, 0.01), ("b", "dead", 1, 0.01), ("c", "refused", 1, 0.01)]


@in_virtual_time
async def test_a_push_is_retried_until_it_is_accepted() -> None:
    replies = iter([(0.0, HttpResponse(503)), (0.0, HttpResponse(429, {"retry-after": "7"})), (0.0, OK)])
    bench = Bench(lambda _: next(replies))
    bench.submit("a")
    await bench.all_ended()

    assert bench.ended[0][:3] == ("a", "accepted", 3)
    first, second, third = (at for at, _ in bench.engine.sent)
    assert 0.375 <= second - first <= 0.5
    assert third - second == pytest.approx(7.0)


@in_virtual_time
async def test_a_push_expires_while_its_provider_does_not_answer() -> None:
    bench = Bench(lambda _: TIMED_OUT)
    bench.submit("a", life=20.0)
    await bench.all_ended()

    _, outcome, attempts, at = bench.ended[0]
    assert outcome == "expired"
    assert 2 <= attempts <= 4
    assert at <= 21.0
    assert bench.reasons == ["no answer"]


@in_virtual_time
async def test_a_push_that_is_no_longer_wanted_is_not_repeated() -> None:
    async def gone(_: Push) -> bool:
        return False

    bench = Bench(always(HttpResponse(503)))
    bench.submit("a", still_wanted=gone)
    await bench.all_ended()

    assert bench.ended[0][:3] == ("a", "expired", 1)
    assert bench.reasons == ["withdrawn"]


@in_virtual_time
async def test_a_store_that_does_not_say_whether_a_push_is_wanted_does_not_stop_it() -> None:
    async def fails(_: Push) -> bool:
        raise ConnectionError

    async def hangs(_: Push) -> bool:
        return await asyncio.get_running_loop().create_future()

    replies = iter([HttpResponse(503)] * 2 + [OK] * 2)
    bench = Bench(lambda _: (0.0, next(replies)))
    bench.submit("a", still_wanted=fails)
    bench.submit("b", still_wanted=hangs)
    await bench.all_ended()

    assert sorted(row[:3] for row in bench.ended) == [("a", "accepted", 2), ("b", "accepted", 2)]


@in_virtual_time
async def test_a_full_lane_refuses_and_another_does_not() -> None:
    bench = Bench(always(OK), lane_size=2)
    push = Push("x", "fake", "a", "token", "voip", "call", 0, bench.now_ms() + 9000)
    assert [bench.submit(name) for name in "abc"] == [True, True, False]
    assert not bench.sender.room(push)
    assert bench.sender.room(msgspec.structs.replace(push, app="b"))
    assert bench.submit("d", app="b")
    await bench.all_ended()

    assert sorted(row[0] for row in bench.ended) == ["a", "b", "d"]


@in_virtual_time
async def test_a_lane_keeps_its_concurrency() -> None:
    bench = Bench(always(OK), lane_concurrency=3)
    for number in range(50):
        bench.submit(str(number))
    await bench.all_ended()

    assert bench.engine.most == 3
    assert len(bench.ended) == 50


@in_virtual_time
async def test_a_black_hole_is_tried_less_and_less_and_leaves_the_other_lane_alone() -> None:
    bench = Bench(lambda request: TIMED_OUT if "//hole" in request.url else (0.01, OK))
    for number in range(300):
        bench.submit(f"hole{number}", app="hole")
    for number in range(100):
        bench.submit(f"good{number}", app="good")
    await bench.all_ended()

    good = [row for row in bench.ended if row[0].startswith("good")]
    assert {row[1:] for row in good} == {("accepted", 1, 0.01)}
    assert {row[1] for row in bench.ended if row[0].startswith("hole")} == {"expired"}
    holes = [at for at, request in bench.engine.sent if "//hole" in request.url]
    assert len([at for at in holes if at > 5.0]) < 8  # after the first hundred: probes
    blocked = [event for event in bench.events if isinstance(event, LaneBlocked)]
    assert [(event.lane, event.waiting) for event in blocked] == [("fake hole", 300)]


@in_virtual_time
async def test_a_provider_that_is_back_gets_what_waited() -> None:
    loop = asyncio.get_running_loop()
    bench = Bench(lambda _: TIMED_OUT if loop.time() < 1030.0 else (0.01, OK))
    for number in range(20):
        bench.submit(str(number))
    await bench.all_ended()

    assert {row[1] for row in bench.ended} == {"accepted"}
    assert max(row[3] for row in bench.ended) - min(row[3] for row in bench.ended) < 0.1
    assert [type(event) for event in bench.events] == [LaneBlocked, LaneFree]


@in_virtual_time
async def test_all_pushes_share_one_grant() -> None:
    bench = Bench(always(OK), tokens=True)
    for name in "abcdef":
        bench.submit(name)
    await bench.all_ended()

    urls = [request.url for _, request in bench.engine.sent]
    assert urls.count("https://token.example/") == 1
    assert urls[0] == "https://token.example/"
    assert [row[0] for row in sorted(bench.ended)] == list("abcdef")


@in_virtual_time
async def test_a_grant_that_fails_is_repeated_for_all() -> None:
    replies = iter([HttpResponse(500), HttpResponse(0, error="down")])
    bench = Bench(
        lambda request: (0.0, next(replies, OK)) if "token" in request.url else (0.0, OK), tokens=True
    )
    for name in "abc":
        bench.submit(name)
    await bench.all_ended()

    assert {row[1:3] for row in bench.ended} == {("accepted", 1)}
    assert len(bench.engine.sent) == 6


@in_virtual_time
async def test_refused_credentials_are_told_and_tried_again_after_a_minute() -> None:
    loop = asyncio.get_running_loop()
    bench = Bench(lambda _: (0.0, HttpResponse(403) if loop.time() < 1030.0 else OK), lane_concurrency=1)
    for name in "abc":
        bench.submit(name)
    await asyncio.sleep(59.0)
    bench.submit("d")
    await asyncio.sleep(2.0)
    bench.submit("e")
    bench.submit("f")
    await bench.all_ended()

    assert [row[:2] for row in bench.ended] == [
        *((name, "credentials") for name in "bcad"),
        ("e", "accepted"),
        ("f", "accepted"),
    ]
    assert [type(event) for event in bench.events] == [CredentialsRefused]
    assert len(bench.engine.sent) == 3


@in_virtual_time
async def test_mended_credentials_are_tried_after_reload() -> None:
    replies = iter([HttpResponse(403), OK])
    bench = Bench(lambda _: (0.0, next(replies)))
    bench.submit("a")
    await asyncio.sleep(1.0)
    bench.sender.reload()
    bench.submit("b")
    await bench.all_ended()

    assert [row[1] for row in bench.ended] == ["credentials", "accepted"]


@in_virtual_time
async def test_what_cannot_be_sent_is_refused_with_the_reason() -> None:
    bench = Bench(always(OK))
    bench.provider.unsendable = "[fcm.1] service_account: cannot be read"
    bench.submit("a")
    bench.submit("b", provider="nobody")
    await bench.all_ended()

    assert {row[:3] for row in bench.ended} == {("a", "refused", 0), ("b", "refused", 0)}
    assert set(bench.reasons) == {
        "[fcm.1] service_account: cannot be read",
        "no push service 'nobody' is configured",
    }


@in_virtual_time
async def test_a_provider_that_raises_and_a_listener_that_raises_stop_nobody() -> None:
    bench = Bench(always(OK))
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    now = bench.now_ms()
    bench.sender.submit(
        Push("x", "fake", "a", "token", "voip", "call", now, now + 9000),
        lambda *_: 1 / 0,  # type: ignore
    )
    bench.submit("a", token="bug")
    bench.submit("b")
    await bench.all_ended()

    assert [row[:2] for row in bench.ended] == [("a", "refused"), ("b", "accepted")]
    assert len(told) == 2


@in_virtual_time
async def test_a_request_is_not_given_longer_than_the_setting_or_the_life_of_its_push() -> None:
    bench = Bench(always(OK), timeout=5.0)
    bench.submit("a", life=60.0)
    bench.submit("b", life=3.0)
    await bench.all_ended()

    assert [round(request.timeout, 1) for _, request in bench.engine.sent] == [5.0, 3.0]


@in_virtual_time
async def test_close_waits_for_what_is_under_way_and_no_longer_than_two_seconds() -> None:
    loop = asyncio.get_running_loop()
    bench = Bench(lambda request: (1.0, OK) if request.url.endswith("a") else None, lane_concurrency=2)
    for name in "abc":
        bench.submit(name)
    await asyncio.sleep(0.5)
    began = loop.time()
    await bench.sender.close()

    assert loop.time() - began == pytest.approx(2.0)
    assert [row[0] for row in bench.ended] == ["a"]
    assert len(bench.engine.sent) == 2
    assert not bench.submit("d")


@in_virtual_time
async def test_lanes_are_bounded_and_the_oldest_idle_one_makes_room() -> None:
    bench = Bench(always(OK))
    for number in range(LANES + 5):
        assert bench.submit(str(number), app=f"app{number}")
        await asyncio.sleep(0.1)
    await bench.all_ended()

    rows = bench.sender.lanes()
    assert len(rows) == LANES
    assert rows[-1] == {
        "name": f"fake app{LANES + 4}", "waiting": 0, "under_way": 0, "blocked": "", "sent": 1, "failed": 0
    }  # fmt: skip


@in_virtual_time
async def test_lanes_that_are_not_used_are_forgotten() -> None:
    bench = Bench(always(OK))
    bench.submit("a", app="a")
    await asyncio.sleep(601.0)
    bench.submit("b", app="b")
    await bench.all_ended()

    assert [row["name"] for row in bench.sender.lanes()] == ["fake b"]
