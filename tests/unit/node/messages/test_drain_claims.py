"""A drain and its claim: extended, lost, lapsed, taken over, given back."""

from __future__ import annotations

import asyncio

import pytest

from cluster.messages.pending import Mark, Owed
from node.messages.copy import Copy
from node.messages.marks import LINGER
from node.messages.stored import request_of
from tests.unit.node.messages.delivery_rig import AOR, PHONE, TABLET, Node, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def a(world: World) -> Node:
    return Node(world, "a")


@pytest.fixture
def b(world: World) -> Node:
    return Node(world, "b")


def test_a_slow_phone_keeps_the_claim_alive(world: World, a: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    a.registered(PHONE)
    world.advance(31)
    assert world.holder == "a" and world.until > world.now
    assert 8 <= world.calls.count("a:extend") <= 19
    a.answer()
    assert a.copies == ["m0", "m1"]


def test_another_node_waits_and_continues_when_the_first_dies(world: World, a: Node, b: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    a.registered(PHONE)
    a.answer()
    world.advance(LINGER)
    assert a.copies == ["m0", "m1"]
    world.nodes.remove(a)  # kill -9
    world.register(flow="f2")
    b.registered(PHONE)
    assert b.copies == [] and b.drains.status()["waiting"] == 1
    world.advance(5.5)
    assert b.copies == ["m1"], "what was not confirmed is sent again"
    b.answer()
    assert not world.kept and b.drains.idle


def test_the_holder_looks_again_for_a_device_of_another_node(world: World, a: Node, b: Node) -> None:
    world.keep("m0", devices=(PHONE, TABLET))
    world.register(PHONE)
    a.registered(PHONE)
    world.register(TABLET)
    b.registered(TABLET)
    assert b.copies == []
    a.answer()
    assert a.copies == ["m0", "m0"] and a.asked[1].context.device == TABLET  # type: ignore[attr-defined]
    a.answer()
    world.advance(6)
    assert b.copies == [] and b.drains.idle and b.drains.status()["drains"] == 0


def test_a_device_of_another_node_does_not_wait_for_a_slow_one(world: World, a: Node, b: Node) -> None:
    world.keep("m0", devices=(PHONE, TABLET))
    world.register(PHONE)
    a.registered(PHONE)
    world.register(TABLET)
    b.registered(TABLET)
    world.advance(3)
    assert a.copies == ["m0", "m0"], "seen when the claim is extended"


@pytest.mark.parametrize("claim", [1.0, 5.0, 60.0])
def test_nothing_new_is_sent_when_the_claim_may_have_lapsed(world: World, claim: float) -> None:
    node = Node(world, "a", claim=claim)
    world.keep("m0", "m1", "m2")
    world.register()
    node.registered(PHONE)
    world.now += claim + 0.1  # the process was stopped, and so were its timers
    node.answer()
    assert node.copies == ["m0"]
    assert [mark.id for mark in world.marks] == ["m0"], "what was delivered stays delivered"
    world.advance(claim + 1)
    assert node.copies == ["m0", "m1"], "with a claim of its own"


def test_the_time_of_a_claim_counts_from_before_it_was_asked_for(world: World, a: Node) -> None:
    world.keep("m0")
    world.register()
    a.silent = True
    a.registered(PHONE)
    world.now += 5.0
    a.silent = False
    world.settle()
    assert a.copies == [] and a.drains.status()["lost_claims"] == 1


def test_an_extension_that_is_not_answered_does_not_count(world: World, a: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    a.registered(PHONE)
    a.silent = True
    world.advance(5)
    a.answer()
    assert a.copies == ["m0"]


def test_a_claim_that_was_lost_ends_the_drain(world: World, a: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    a.registered(PHONE)
    world.holder, world.until = "b", world.now + 100
    world.fence += 1
    world.advance(2.5)
    assert a.drains.status()["lost_claims"] == 1
    world.calls.clear()
    a.answer()
    assert a.copies == ["m0"] and [mark.id for mark in world.marks] == ["m0"]
    assert world.calls == ["a:claim"], "whether it is free is asked at once"
    world.holder = ""
    world.advance(106)
    assert a.copies == ["m0", "m1"]


def test_a_copy_does_not_follow_its_phone_while_another_node_has_the_claim(
    world: World, a: Node, b: Node
) -> None:
    """The other node delivers where the phone went; what is open here must not come there as well."""
    world.keep("m0")
    world.register(flow="f1")
    a.registered(PHONE)
    assert a.copies == ["m0"]
    world.holder, world.until = "b", world.now + 100
    world.fence += 1
    world.advance(2.5)
    assert a.drains.status()["lost_claims"] == 1
    world.register(flow="f2")
    a.look()
    assert a.copies == ["m0"]
    world.holder = ""
    b.registered(PHONE)
    b.answer()
    world.advance(10)
    a.look()
    assert (a.copies, b.copies) == (["m0"], ["m0"])


def test_a_phone_that_moved_gets_what_the_store_says_it_is_still_owed(world: World, a: Node) -> None:
    world.keep("m0")
    world.register(flow="f1")
    a.registered(PHONE)
    world.holder, world.until = "b", world.now + 3
    world.fence += 1
    world.advance(2.5)
    world.register(flow="f2")
    a.look()
    assert a.copies == ["m0"]
    world.advance(3)
    assert [branch.target.flow_token for branch in a.asked] == ["f1", "f2"]
    a.answer(at=1)
    assert not world.kept and a.drains.idle


def test_a_copy_does_not_follow_its_phone_when_another_node_had_the_answer(
    world: World, a: Node, b: Node
) -> None:
    """A mark needs no claim: who sent the first copy may hear from the phone late."""
    world.keep("m0", "m1")
    world.register(flow="f1")
    a.registered(PHONE)
    b.confirm(AOR, (Mark("m0", PHONE, 200),), lambda _: None)
    world.settle()
    world.register(flow="f2")
    a.registered(PHONE)
    assert a.copies == ["m0", "m1"]
    a.answer()
    assert not world.kept


@pytest.mark.parametrize("status", [200, 503])
def test_a_copy_of_another_that_is_taken_along_keeps_the_claim(
    world: World, a: Node, b: Node, status: int
) -> None:
    """It was sent before there was a claim, and what becomes of it is told to who sent it."""
    world.keep("m0")
    world.register(flow="f1")
    owed, told = Owed(world.kept["m0"], PHONE), []

    def ended(copy: Copy, status: int, response: object, now: float) -> None:
        told.append(status)
        a.under_way.remove(AOR, "m0", copy)
        if status == 200:
            a.drains.marks.confirm(owed, AOR, status)
            a.drains.look(AOR, now)  # as attempts do: not when the device could not be asked

    target = a.target(world.record.bindings[0])
    copy = Copy(request_of(owed.pending.request), PHONE, target, a.ask, lambda hop: None, ended)
    a.under_way.add(AOR, "m0", copy)
    copy.start(world.now)
    world.advance(1)
    world.register(flow="f2")
    record = world.record
    a.cached = lambda aor: record  # type: ignore[method-assign]  # nothing changes any more
    a.look()
    assert [branch.target.flow_token for branch in a.asked] == ["f1", "f2"]
    b.registered(PHONE)
    world.advance(12)
    assert b.copies == [], "the claim is held while it is on its way"
    a.answer(status)
    assert told == [status] and bool(world.kept) is (status != 200)
    world.advance(40)
    assert len(a.copies) + len(b.copies) == (2 if status == 200 else 3)


def test_a_late_reply_to_a_lost_claim_changes_nothing(world: World, a: Node) -> None:
    world.keep(*[f"m{number}" for number in range(12)])
    world.register()
    a.registered(PHONE)
    for _ in range(9):
        a.answer()
    a.silent = True
    a.answer()
    assert world.calls[-1] == "a:take"
    world.now += 6
    a.timers.advance(world.now)
    assert a.drains.status()["held"] == 0
    a.silent = False
    world.settle()
    assert len(a.copies) == 10 and a.drains.status()["lost_claims"] == 1


def test_the_store_is_away_and_comes_back(world: World, a: Node) -> None:
    world.keep("m0")
    world.register()
    world.away = True
    a.registered(PHONE)
    assert a.copies == [] and a.drains.idle
    world.advance(12)
    world.away = False
    world.advance(6)
    assert a.answer() == "m0" and not world.kept


def test_what_was_taken_while_the_store_was_away_is_not_sent_again(world: World, a: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    a.registered(PHONE)
    world.away = True
    a.answer()
    assert a.copies == ["m0", "m1"]
    a.answer()
    assert not world.marks and a.drains.status()["unconfirmed"] == 2
    world.advance(20)
    world.away = False
    world.advance(20)
    assert a.copies == ["m0", "m1"] and not world.kept
    assert a.drains.status()["unconfirmed"] == 0


def test_what_the_store_holds_back_is_asked_for_again(world: World, a: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    world.most = 0  # it has confirmations of everything that it could hand out, and more
    a.registered(PHONE)
    assert a.copies == [] and world.holder == ""
    world.advance(0.5)
    assert world.calls == ["a:claim", "a:release"]
    world.most = 10
    world.advance(1)
    assert a.copies == ["m0"]


async def test_a_node_that_stops_gives_its_claim_back(world: World, a: Node, b: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    a.registered(PHONE)
    a.drains.closing = True
    a.answer()
    assert a.copies == ["m0"] and world.holder == "" and a.drains.status()["drains"] == 0
    await a.drains.drain()
    b.look()
    assert b.copies == ["m1"]


async def test_a_node_that_stops_waits_for_a_copy_only_so_long(world: World, a: Node) -> None:
    world.keep("m0")
    world.register()
    a.registered(PHONE)
    a.registered(PHONE)
    draining = asyncio.create_task(a.drains.drain(0.05))
    await asyncio.sleep(0)
    assert world.holder == "a", "the copy may still be answered"
    original = a.release

    def release(*args: object) -> None:
        original(*args)  # type: ignore[arg-type]
        a.flush()

    a.release = release  # type: ignore[method-assign]
    await draining
    assert world.holder == "" and world.calls[-1] == "a:release"
    a.drains.look(AOR, world.now)
    assert world.calls[-1] == "a:release", "nothing begins any more"
    a.answer()
    assert [mark.id for mark in world.marks] == ["m0"]
