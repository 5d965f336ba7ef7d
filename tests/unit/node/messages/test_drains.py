"""The drains of a node: looks, registrations, waiting, bounds."""

from __future__ import annotations

import asyncio

import pytest

from cluster.location.record import Record
from node.messages import drains as drains_module
from tests.unit.node.messages.delivery_rig import AOR, PHONE, TABLET, Node, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def node(world: World) -> Node:
    return Node(world)


def test_a_look_reads_what_is_not_cached(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.cache = False
    node.look()
    assert node.fetches == 1 and node.answer() == "m0"


def test_a_cached_record_is_not_read_again(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.look()
    assert node.fetches == 0 and node.copies == ["m0"]


def test_a_record_that_is_given_is_believed(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.cache = False
    node.drains.look(AOR, world.now, world.record)
    world.settle()
    assert node.fetches == 0 and node.copies == ["m0"]


def test_nothing_stored_leaves_no_trace(world: World, node: Node) -> None:
    world.register()
    node.look()
    node.registered(PHONE)
    assert world.calls == [] and node.drains.status()["drains"] == 0 and node.drains.idle


def test_a_sleeping_device_leaves_no_trace(world: World, node: Node) -> None:
    world.keep("m0")
    world.register(flow="f1")
    node.gone.add("f1")
    node.look()
    assert world.calls == [] and node.drains.status()["drains"] == 0


def test_a_copy_follows_the_phone_to_its_new_flow(world: World, node: Node) -> None:
    world.keep("m0")
    world.register(flow="f1")
    node.registered(PHONE)
    world.advance(1)
    world.register(flow="f2")
    node.registered(PHONE)
    assert node.copies == ["m0", "m0"]
    assert [branch.target.flow_token for branch in node.asked] == ["f1", "f2"]
    node.answer(at=1)
    assert not world.kept and node.drains.idle


def test_a_late_answer_by_the_old_flow_counts_once(world: World, node: Node) -> None:
    world.keep("m0")
    world.register(flow="f1")
    node.registered(PHONE)
    world.advance(1)
    world.register(flow="f2")
    node.registered(PHONE)
    node.answer(at=0)
    node.answer(at=1)
    assert len(world.marks) == len(node.events) == 1 and node.drains.status()["delivered"] == 1


def test_a_registration_from_the_same_place_hurries_the_copy(world: World, node: Node) -> None:
    world.keep("m0")
    world.register(flow="f1")
    node.registered(PHONE)
    hurried = []
    node.asked[0].client = type("Client", (), {"hurry": lambda self: hurried.append(1)})()
    world.advance(1)
    world.register(flow="f1")
    node.registered(PHONE)
    node.registered(PHONE)
    assert node.copies == ["m0"] and hurried == [1]


def test_a_copy_follows_a_phone_that_went_to_another_node(world: World, node: Node) -> None:
    world.keep("m0")
    world.register(flow="f1")
    node.registered(PHONE)
    world.advance(0.5)
    world.register(flow="f2")  # nobody tells this node
    world.advance(3)
    assert node.copies == ["m0", "m0"]


def test_a_registration_matters_while_a_copy_is_open(world: World, node: Node) -> None:
    assert not node.drains.concerns(AOR)
    world.keep("m0")
    world.register()
    node.registered(PHONE)
    assert node.drains.concerns(AOR)
    node.answer()
    assert not node.drains.concerns(AOR)


def test_the_longest_waiting_gives_way(world: World, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drains_module, "MOST", 2)
    world.keep("m0")
    world.register()
    record = world.record
    for number in range(3):
        world.holder = ""
        node.drains.look(f"user{number}@example.org", world.now, record)
        world.settle()
        node.answer(503)
    status = node.drains.status()
    assert (status["drains"], status["waiting"], status["gave_way"]) == (2, 2, 1)
    assert len(node.asked) == 3


def test_nobody_gives_way_who_works(world: World, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drains_module, "MOST", 1)
    world.keep("m0")
    world.register()
    node.look()
    node.drains.look("carol@example.org", world.now, world.record)
    world.settle()
    assert node.copies == ["m0"] and node.drains.status()["gave_way"] == 1
    assert node.answer() == "m0" and not world.kept


def test_waiting_again_and_again_fills_no_heap(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.look()
    node.answer(503)
    for _ in range(500):
        world.advance(0.05)
        world.register()
        node.registered(PHONE)
        node.answer(503)
    assert len(node.drains._due) <= 66 and node.drains.status()["waiting"] == 1


def test_a_record_that_cannot_be_read_is_read_later(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.cache = False
    world.away = True
    node.look()
    assert node.drains.status()["waiting"] == 1
    world.away = False
    world.advance(6)
    assert node.copies == ["m0"]


async def test_a_look_during_a_read_reads_once_more(world: World, node: Node) -> None:
    world.keep("m0", devices=(TABLET,))
    world.register()
    world.known.add(PHONE)
    node.cache = False
    stale, gate = world.record, asyncio.Event()
    reads: list[asyncio.Task[None]] = []
    records = [stale]

    async def fetch(aor: str) -> Record:
        await gate.wait()
        return records.pop() if records else world.record

    node.fetch = fetch  # type: ignore[method-assign]
    node.drains._spawn = lambda work: reads.append(asyncio.create_task(work))
    node.look()
    await asyncio.sleep(0)
    world.keep("m1")
    node.look()
    assert len(reads) == 1
    gate.set()
    await asyncio.wait_for(reads[0], 5)
    world.settle()
    assert node.copies == ["m1"]


def test_counts(world: World, node: Node) -> None:
    world.keep("m0", "m1", devices=(PHONE, TABLET))
    world.register(PHONE)
    world.register(TABLET)
    node.look()
    status = node.drains.status()
    assert (status["drains"], status["held"], status["copies"], status["waiting"]) == (1, 1, 2, 0)
    assert not node.drains.idle
    node.answer(488, at=0)
    node.answer(200, at=1)
    status = node.drains.status()
    assert (status["delivered"], status["refused"]) == (1, 1)


def test_a_device_that_rested_for_nothing_asks_no_more(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.look()
    node.answer(503)
    world.kept.clear()
    world.open.clear()
    world.calls.clear()
    world.advance(31)
    assert world.calls == [] and node.drains.status()["drains"] == 0
