"""One drain: order, devices, answers, and what another node may do meanwhile."""

from __future__ import annotations

import pytest

from cluster.messages.events import MessageDelivered, MessageRefused
from cluster.messages.pending import ANYBODY
from node.messages.marks import LINGER
from tests.unit.node.messages.delivery_rig import AOR, PHONE, TABLET, Node, World

TEN = [f"m{number}" for number in range(10)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def node(world: World) -> Node:
    return Node(world)


def nothing_left(node: Node) -> bool:
    status = node.drains.status()
    return node.drains.idle and not any(status[name] for name in ("drains", "copies", "unconfirmed"))


def test_ten_messages_arrive_in_order_one_at_a_time(world: World, node: Node) -> None:
    world.keep(*TEN)
    world.register()
    node.registered(PHONE)
    for number in range(10):
        assert node.copies == TEN[: number + 1], "the next one waits for the answer"
        node.answer()
    assert world.calls == ["a:claim", "a:release"]
    assert not world.kept and nothing_left(node)
    delivered = [event.id for event in node.events if isinstance(event, MessageDelivered)]
    assert delivered == TEN


def test_more_than_a_batch_is_taken_bit_by_bit(world: World, node: Node) -> None:
    names = [f"m{number:02}" for number in range(25)]
    world.keep(*names)
    world.register()
    node.registered(PHONE)
    for _ in names:
        node.answer()
    assert node.copies == names and not world.kept
    assert world.calls == ["a:claim", "a:take", "a:take", "a:release"]


def test_the_next_copy_does_not_wait_until_the_mark_is_stored(world: World, node: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    node.registered(PHONE)
    node.silent = True
    node.answer()
    assert node.copies == ["m0", "m1"]


def test_answers_of_a_fast_phone_are_told_together(world: World, node: Node) -> None:
    names = [f"m{number:02}" for number in range(25)]
    world.keep(*names)
    world.register()
    node.registered(PHONE)
    for _ in names:
        node.answer()
    assert node.copies == names and not world.kept and nothing_left(node)
    assert world.told == [10, 10, 5]


def test_what_a_phone_said_is_told_soon_even_if_its_next_answer_is_late(world: World, node: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    node.registered(PHONE)
    node.answer()
    assert node.copies == ["m0", "m1"] and list(world.kept) == ["m0", "m1"]
    world.advance(LINGER)
    assert list(world.kept) == ["m1"]
    node.answer()
    assert not world.kept and nothing_left(node)


def test_so_many_answers_may_be_unknown_to_the_store(world: World, node: Node) -> None:
    world.keep(*(f"m{number:02}" for number in range(30)))
    world.register()
    node.registered(PHONE)
    for _ in range(9):
        node.answer()
    node.silent = True
    for _ in range(10):
        if len(node.asked) < 11:
            node.answer()
    assert len(node.copies) == 10, "the next ones are asked for behind the marks of these"
    assert "a:release" not in world.calls
    node.silent = False
    world.settle()
    assert len(node.copies) == 11


def test_two_devices_do_not_wait_for_each_other(world: World, node: Node) -> None:
    world.keep("m0", "m1", devices=(PHONE, TABLET))
    world.register(PHONE)
    world.register(TABLET)
    node.registered(PHONE)
    assert node.copies == ["m0", "m0"]
    node.answer(at=0)
    node.answer()
    assert node.copies == ["m0", "m0", "m1"]
    world.advance(LINGER)
    assert {(mark.id, mark.device) for mark in world.marks} == {("m0", PHONE), ("m1", PHONE)}
    node.answer(at=1)
    node.answer()
    assert not world.kept and nothing_left(node)


def test_a_device_that_is_owed_nothing_causes_nothing(world: World, node: Node) -> None:
    world.keep("m0", devices=(TABLET,))
    world.known.add(PHONE)
    world.register(PHONE)
    node.registered(PHONE)
    node.look()
    assert world.calls == [] and nothing_left(node)


def test_a_new_device_gets_what_waits_for_others(world: World, node: Node) -> None:
    world.keep("m0", devices=(TABLET,))
    world.register(PHONE)
    node.registered(PHONE)
    assert node.answer() == "m0"
    assert world.open == {"m0": {TABLET}}


def test_a_nameless_phone_gets_only_what_anybody_may_have(world: World, node: Node) -> None:
    world.keep("m0", devices=(TABLET,))
    world.register("sip:bob@10.0.0.1", instance=False)
    node.registered("sip:bob@10.0.0.1")
    assert world.calls == []
    world.keep("m1", devices=(ANYBODY,))
    node.look()
    assert node.answer() == "m1"
    assert list(world.kept) == ["m0"] and nothing_left(node)


@pytest.mark.parametrize("status", [403, 415, 486, 488, 500, 603])
def test_a_refusal_closes_it_for_that_device(world: World, node: Node, status: int) -> None:
    world.keep("m0", "m1")
    world.register()
    node.registered(PHONE)
    node.answer(status)
    world.advance(LINGER)
    assert node.copies == ["m0", "m1"] and list(world.kept) == ["m1"]
    assert node.events == [MessageRefused("m0", AOR, PHONE, "m0", status)]
    node.answer()
    node.registered(PHONE)
    assert node.copies == ["m0", "m1"]


@pytest.mark.parametrize("status", [408, 430, 503])
def test_a_device_that_cannot_be_asked_keeps_it(world: World, node: Node, status: int) -> None:
    world.keep("m0", "m1")
    world.register()
    node.registered(PHONE)
    node.answer(status)
    assert list(world.kept) == ["m0", "m1"] and node.copies == ["m0"] and not node.events
    assert [(mark.id, mark.device, mark.status) for mark in world.notes] == [("m0", PHONE, status)]
    assert world.holder == "", "the claim is not kept for a device that rests"
    world.advance(1)
    world.register()
    node.registered(PHONE)
    assert node.copies == ["m0", "m0"], "a registration tries at once, from where it was"
    node.answer()
    node.answer()
    assert not world.kept and nothing_left(node)


@pytest.mark.parametrize("status", [480, 404, 403])
def test_what_no_device_said_closes_nothing(world: World, node: Node, status: int) -> None:
    world.keep("m0")
    world.register()
    node.registered(PHONE)
    node.fail(status)
    assert list(world.kept) == ["m0"] and not world.marks
    assert [mark.status for mark in world.notes] == [503]


def test_a_resting_device_holds_nobody_up(world: World, node: Node) -> None:
    world.keep("m0", "m1", devices=(PHONE, TABLET))
    world.register(PHONE)
    world.register(TABLET)
    node.look()
    node.answer(503, at=0)
    node.answer(at=1)
    node.answer()
    assert {(mark.id, mark.device) for mark in world.marks} == {("m0", TABLET), ("m1", TABLET)}
    node.look()
    assert len(node.copies) == 3, "a look is no reason to try earlier"


def test_backoff_doubles_and_a_delivery_ends_it(world: World, node: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    node.registered(PHONE)
    for delay in (30, 60, 120):
        node.answer(503)
        tried = len(node.copies)
        world.advance(delay - 1)
        assert len(node.copies) == tried
        world.advance(2)
        assert len(node.copies) == tried + 1
    node.answer(200)
    node.answer(503)
    world.advance(31)
    assert node.answer(200) == "m1"
    assert not world.kept and nothing_left(node)


def test_retry_after_is_honoured_up_to_an_hour(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.registered(PHONE)
    node.answer(503, "90 (busy);duration=5")
    world.advance(88)
    assert len(node.copies) == 1
    world.advance(3)
    assert len(node.copies) == 2
    node.answer(503, "999999")
    world.advance(3599)
    assert len(node.copies) == 2
    world.advance(2)
    assert len(node.copies) == 3


def test_a_flow_that_is_gone_is_not_tried_until_it_registers(world: World, node: Node) -> None:
    world.keep("m0")
    world.register(flow="f1")
    node.gone.add("f1")
    node.look()
    assert world.calls == [] and node.drains.idle
    world.advance(1)
    world.register(flow="f2")
    node.registered(PHONE)
    assert node.answer() == "m0"


def test_an_expired_message_is_not_sent(world: World, node: Node) -> None:
    world.keep("m0")
    world.keep("m1", life=100)
    world.keep("m2")
    world.register()
    node.registered(PHONE)
    world.advance(1)
    node.answer()
    assert node.copies == ["m0", "m2"]


def test_a_copy_that_is_under_way_otherwise_is_waited_for(world: World, node: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    other = type("Other", (), {"device": PHONE, "branch": None})()
    node.under_way.add(AOR, "m0", other)
    node.look()
    world.advance(5)
    assert node.copies == [] and world.calls == [] and node.drains.status()["waiting"] == 1
    node.under_way.remove(AOR, "m0", other)
    world.advance(1.5)
    assert node.copies == ["m0"]


def test_a_look_ends_the_wait_for_another_copy_but_not_the_rest_of_a_device(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    other = type("Other", (), {"device": PHONE, "branch": None})()
    node.under_way.add(AOR, "m0", other)
    node.look()
    node.under_way.remove(AOR, "m0", other)
    node.look()
    node.answer(503)
    node.under_way.add(AOR, "m0", other)
    node.look()
    node.under_way.remove(AOR, "m0", other)
    node.look()
    world.advance(2)
    assert node.copies == ["m0"]
    world.advance(30)
    assert node.copies == ["m0", "m0"]


def test_a_message_that_began_its_way_meanwhile_is_not_sent_twice(world: World, node: Node) -> None:
    world.keep("m0", "m1")
    world.register()
    node.look()
    other = type("Other", (), {"device": PHONE, "branch": None})()
    node.under_way.add(AOR, "m1", other)
    node.answer()
    assert node.copies == ["m0"] and world.holder == ""


def test_what_is_stored_meanwhile_follows(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.registered(PHONE)
    world.keep("m1")
    node.look()
    node.answer()
    node.answer()
    assert node.copies == ["m0", "m1"] and nothing_left(node)


def test_a_look_during_the_claim_and_the_release_is_not_lost(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.silent = True
    node.registered(PHONE)
    world.keep("m1", devices=(TABLET,))
    world.register(TABLET)
    node.registered(TABLET)
    node.silent = False
    world.settle()
    assert sorted(node.copies) == ["m0", "m1"]
    node.answer()
    node.silent = True
    node.answer(at=0)
    node.flush()
    world.keep("m2")
    node.look()
    node.silent = False
    world.settle()
    assert node.copies[-1] == "m2"


def test_what_is_stored_while_the_claim_is_asked_for_follows(world: World, node: Node) -> None:
    world.keep("m0")
    world.register()
    node.silent = True
    node.registered(PHONE)
    world.keep("m1")
    node.look()
    node.silent = False
    world.settle()
    node.answer()
    node.answer()
    assert node.copies == ["m0", "m1"]


def test_flows_that_turn_out_to_be_gone_end_the_drain_once(world: World, node: Node) -> None:
    world.keep("m0", devices=(PHONE, TABLET))
    world.register(PHONE, flow="f1")
    world.register(TABLET, flow="f2")
    node.broken |= {"f1", "f2"}
    node.look()
    assert node.copies == [] and world.calls == ["a:claim", "a:release"]
    assert [mark.status for mark in world.notes] == [430, 430] and nothing_left(node)


def test_a_flow_that_turns_out_to_be_gone_leaves_the_other_device_alone(world: World, node: Node) -> None:
    world.keep("m0", "m1", devices=(PHONE, TABLET))
    world.register(PHONE, flow="f1")
    world.register(TABLET, flow="f2")
    node.broken.add("f1")
    node.look()
    node.answer()
    node.answer()
    assert node.copies == ["m0", "m1"] and nothing_left(node)


def test_a_device_that_got_nothing_of_a_full_batch_asks_again(world: World, node: Node) -> None:
    world.keep(*[f"m{number:02}" for number in range(12)])
    world.keep("t0", devices=(TABLET,))
    world.register(PHONE)
    world.register(TABLET)
    world.most = 10
    node.look()
    assert set(node.copies) == {"m00", "t0"}
