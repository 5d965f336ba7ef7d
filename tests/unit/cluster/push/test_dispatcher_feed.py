"""What waits for a lane: bounds, order, the right to send, and whose lane holds whom."""

from __future__ import annotations

from typing import Any

from cluster.push.feed import Feed, Item
from cluster.push.providers.provider import Answer
from tests.network.push_rig import push


class Sender:
    """Takes what fits into `width`, and answers when told."""

    def __init__(self, width: int = 100) -> None:
        self.width = width
        self.sent: list[str] = []
        self.open: dict[str, Any] = {}
        self.wanted: Any = None

    def room(self, one: Any) -> bool:
        return len(self.open) < self.width

    def submit(self, one: Any, done: Any, still_wanted: Any = None) -> bool:
        self.sent.append(one.id)
        self.open[one.id] = (one, done)
        self.wanted = still_wanted
        return True

    def answer(self, identity: str) -> None:
        one, done = self.open.pop(identity)
        done(one, Answer("accepted", 200), 1)


class Owner:
    """A holder that may send as long as `may`."""

    who = "d1"

    def __init__(self) -> None:
        self.may = True
        self.gone: list[str] = []
        self.rooms = 0

    def may_send(self, item: Item) -> bool:
        return self.may

    def lost(self, item: Item) -> None:
        self.gone.append(item.push.id)

    def room(self) -> None:
        self.rooms += 1

    def confirmed(self, item: Item) -> None: ...

    def outdone(self, fence: int) -> None: ...

    async def wanted(self, item: Item) -> bool:
        return self.may


class Rig:
    def __init__(self, width: int = 100, waiting: int = 10, under_way: int = 3) -> None:
        self.sender, self.owner, self.now = Sender(width), Owner(), 0
        self.ended: list[tuple[str, str]] = []
        self.items: dict[str, Item] = {}
        self.feed = Feed(self.sender, lambda: self.now, self._finished, waiting, under_way)

    def _finished(self, item: Item, answer: Answer, attempts: int) -> None:
        self.ended.append((item.push.id, answer.outcome))

    def offer(self, *names: str, app: str = "app", expires_at: int = 1000) -> list[bool]:
        told = []
        for name in names:
            item = Item(push(id=name, app=app, expires_at=expires_at), b"1-0", 3, self.owner)
            self.items[name] = item
            told.append(self.feed.offer(item))
        return told

    def end(self, name: str) -> None:
        """The provider answers, and Redis confirms."""
        self.sender.answer(name)
        self.feed.settled(self.items[name])


def test_a_lane_holds_its_bound_in_flight_until_confirmed_and_keeps_the_order() -> None:
    rig = Rig()
    rig.offer(*"abcde")
    assert rig.sender.sent == ["a", "b", "c"]
    rig.sender.answer("b")
    assert rig.sender.sent == ["a", "b", "c"]  # answered, not confirmed
    rig.feed.settled(rig.items["b"])
    rig.feed.settled(rig.items["b"])  # one place only
    assert rig.sender.sent == ["a", "b", "c", "d"]
    rig.end("a")
    assert rig.sender.sent == ["a", "b", "c", "d", "e"]


def test_a_full_lane_refuses_and_says_when_there_is_room() -> None:
    rig = Rig(waiting=4, under_way=1)
    assert rig.offer(*"abcdefg") == [True] * 5 + [False] * 2
    assert rig.offer("x", app="other") == [True]  # another lane
    assert "x" in rig.sender.sent
    for name in "abc":
        assert not rig.owner.rooms
        rig.end(name)
    assert rig.owner.rooms == 1


def test_room_at_the_sender_counts_too() -> None:
    rig = Rig(width=1)
    rig.offer(*"ab")
    assert rig.sender.sent == ["a"]
    rig.end("a")
    assert rig.sender.sent == ["a", "b"]


def test_who_may_not_send_any_more_loses_what_waits() -> None:
    rig = Rig(under_way=1)
    rig.offer(*"abc")
    rig.owner.may = False
    rig.end("a")
    assert rig.sender.sent == ["a"]
    assert rig.owner.gone == ["b", "c"]
    assert not rig.feed.has("b")


def test_what_expires_while_it_waits_is_not_sent() -> None:
    rig = Rig(under_way=1)
    rig.offer(*"ab")
    rig.now = 1000
    rig.end("a")
    assert rig.sender.sent == ["a"]
    assert rig.ended == [("a", "accepted"), ("b", "expired")]


def test_waiting_ones_can_be_taken_back() -> None:
    rig = Rig(under_way=1)
    rig.offer(*"abcd")
    assert rig.feed.withdraw("a") is None  # under way
    assert rig.feed.withdraw("c") is rig.items["c"]
    assert [item.push.id for item in rig.feed.drop(rig.owner)] == ["b", "d"]
    rig.end("a")
    rig.feed.tend()
    assert rig.sender.sent == ["a"]
    assert len(rig.feed) == 0


async def test_the_holder_is_asked_before_another_attempt() -> None:
    rig = Rig()
    rig.offer("a")
    assert await rig.sender.wanted(rig.items["a"].push)
    rig.owner.may = False
    assert not await rig.sender.wanted(rig.items["a"].push)
    rig.end("a")
    assert not await rig.sender.wanted(rig.items["a"].push)


def test_many_that_expired_together_end_in_one_go() -> None:
    rig = Rig(waiting=5000, under_way=1)
    rig.offer("first", *(f"n{n}" for n in range(3000)))
    rig.now = 2000
    rig.end("first")
    assert len(rig.ended) == 3001
