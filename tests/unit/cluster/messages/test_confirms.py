"""Marks on their way to Redis, in order, together, and again where it is away."""

import asyncio
from collections.abc import Sequence

import pytest

from cluster.errors import StoreUnavailable
from cluster.messages import confirms as room
from cluster.messages.confirms import Confirms
from cluster.messages.pending import Mark
from cluster.redis.link import Done

AWAY = StoreUnavailable("away")


class Queue:
    """Takes batches down; the test answers them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[Mark], Done]] = []

    def confirm(self, aor: str, marks: Sequence[Mark], done: Done) -> None:
        self.asked.append((aor, list(marks), done))

    def answer(self, reply: object) -> list[str]:
        """Answers the oldest; the ids that were in it."""
        _, marks, done = self.asked.pop(0)
        done(reply)
        return [mark.id for mark in marks]


class Bench:
    def __init__(self) -> None:
        self.queue = Queue()
        self.left: list[tuple[str, int, bool]] = []
        self.told: list[tuple[str, StoreUnavailable | None]] = []
        self.confirms = Confirms(self.queue, lambda *words: self.left.append(words))  # type: ignore[arg-type]

    def add(self, *ids: str, aor: str = "a", status: int = 200) -> None:
        marks = [Mark(one, "<a>", status) for one in ids]
        self.confirms.add(aor, marks, lambda error: self.told.append((ids[0], error)))


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def until(bench: Bench, count: int) -> None:
    async with asyncio.timeout(5):
        while len(bench.queue.asked) < count:
            await asyncio.sleep(0.001)


async def test_what_comes_while_an_answer_is_awaited_goes_together(bench: Bench) -> None:
    for one in ("1", "2", "3"):
        bench.add(one)
    bench.add("x", aor="b")
    assert [aor for aor, _, _ in bench.queue.asked] == ["a", "b"]
    assert len(bench.confirms) == 4
    assert bench.queue.answer(3) == ["1"]
    assert bench.left == [("a", 1, True)] and bench.told == [("1", None)]
    bench.queue.answer(0)
    assert bench.queue.answer(4) == ["2", "3"]
    assert bench.left[-1] == ("a", 2, False)
    assert bench.told == [("1", None), ("x", None), ("2", None), ("3", None)]
    assert len(bench.confirms) == 0 and not bench.queue.asked


async def test_who_claims_sends_the_rest_first(bench: Bench) -> None:
    bench.add("1")
    bench.add("2")
    bench.confirms.flush("a")
    bench.confirms.flush("nobody")
    assert bench.confirms.unanswered("a") == {("1", "<a>"), ("2", "<a>")}
    bench.add("3", status=408)  # still owed
    assert bench.confirms.unanswered("a") == {("1", "<a>"), ("2", "<a>")}
    assert (bench.queue.answer(0), bench.queue.answer(0), bench.queue.answer(0)) == (["1"], ["2"], ["3"])
    assert bench.confirms.unanswered("a") == set()


async def test_redis_is_asked_again_in_order(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_PAUSE", 0.001)
    bench.add("1")
    bench.add("2")
    bench.confirms.flush("a")
    bench.add("3")
    bench.queue.answer(AWAY)
    bench.queue.answer(AWAY)
    await until(bench, 1)
    assert bench.queue.answer(0) == ["1", "2", "3"]
    assert [error for _, error in bench.told] == [None] * 3


async def test_it_is_given_up_in_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.0)
    bench.add("1")
    bench.queue.answer(AWAY)
    assert bench.told == [("1", AWAY)] and len(bench.confirms) == 0
    bench.add("2")
    assert bench.queue.answer(0) == ["2"]  # the next is not kept waiting by what was given up


async def test_only_so_many_are_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_KEPT", 2)
    for one in ("1", "2", "3"):
        bench.add(one)
    assert [one for one, error in bench.told if error is not None] == ["3"]


async def test_a_long_row_goes_in_pieces(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_MOST", 3)
    for number in range(8):
        bench.add(str(number))
    sizes = []
    while bench.queue.asked:
        sizes.append(len(bench.queue.answer(0)))
    assert sizes == [1, 3, 3, 1]


async def test_the_end_tells_all(bench: Bench) -> None:
    bench.add("1")
    bench.add("2")
    bench.confirms.close()
    bench.queue.answer(0)  # too late
    bench.add("3")
    assert [(one, error is None) for one, error in bench.told] == [("1", False), ("2", False), ("3", False)]
    assert bench.left == [] and len(bench.confirms) == 0
