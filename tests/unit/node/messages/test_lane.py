"""A lane alone: rests, wakes, and which answers close a message."""

from __future__ import annotations

import pytest

from cluster.location.binding import Binding
from cluster.location.record import Record
from cluster.messages.pending import Owed, Pending
from node.fork.target import Target
from node.messages.lane import LONGEST_REST, NEVER, Lane, closes, retry_after
from node.messages.reach import Reach, reach_of
from tests.unit.node.messages.delivery_rig import DAY_MS, Response

NOW = 50.0


def reach(at: int = 1, **fields: object) -> Reach:
    return Reach(Binding(registered_at=at, **fields), Target(b"sip:x"))  # type: ignore[arg-type]


def owed(*names: str) -> list[Owed]:
    return [Owed(Pending(name, "bob@example.org", 2, 0, DAY_MS, b""), "d") for name in names]


@pytest.fixture
def lane() -> Lane:
    lane = Lane("d", reach())
    lane.taken(owed("m0", "m1"), False)
    return lane


def test_it_holds_what_it_was_given(lane: Lane) -> None:
    assert lane.working and lane.open(NOW) and not lane.more
    assert [one.pending.id for one in lane.waiting] == ["m0", "m1"]


def test_a_lane_that_rests_holds_nothing(lane: Lane) -> None:
    lane.rest(503, None, 30.0, NOW)
    assert not lane.working and not lane.open(NOW + 29) and lane.open(NOW + 31) and lane.more


@pytest.mark.parametrize(
    ("tries", "delay"), [(0, 30.0), (1, 60.0), (5, 960.0), (7, LONGEST_REST), (4000, LONGEST_REST)]
)
def test_rests_double_up_to_an_hour(lane: Lane, tries: int, delay: float) -> None:
    lane.tries = tries
    lane.rest(408, None, 30.0, NOW)
    assert lane.rest_until == NOW + delay


def test_a_flow_that_is_gone_is_waited_for(lane: Lane) -> None:
    lane.rest(430, None, 30.0, NOW)
    assert lane.rest_until == NEVER
    lane.found(reach(at=1), registered=False)
    assert not lane.open(NOW)
    lane.found(reach(at=2), registered=False)
    assert lane.open(NOW)


def test_a_registration_in_the_same_millisecond_counts(lane: Lane) -> None:
    lane.rest(503, None, 30.0, NOW)
    lane.found(reach(at=1), registered=True)
    assert lane.open(NOW)


def test_a_device_that_left_holds_nothing(lane: Lane) -> None:
    lane.found(None, registered=False)
    assert not lane.working and not lane.open(NOW)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 0), ("5", 5), (" 18000;duration=3600", 18000), ("120 (I'm in a meeting)", 120), ("-1", 0), ("x", 0),
     ("99999999999999999999", 0), ("\u0663", 0)],
)  # fmt: skip
def test_retry_after(said: str, seconds: float) -> None:
    assert retry_after(Response(503, said)) == seconds  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [200, 202, 400, 404, 480, 486, 488, 500, 600])
def test_answers_that_close(status: int) -> None:
    assert closes(status, Response(status))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [408, 430, 503])
def test_answers_that_do_not(status: int) -> None:
    assert not closes(status, Response(status))  # type: ignore[arg-type]
    assert not closes(404, None)


def test_all_living_flows_of_a_device_are_alternatives() -> None:
    flows = [
        Binding(key=f"<i>;reg-id={n}", instance="<i>", reg_id=n, uri="sip:x", flow=f"f{n}", registered_at=n,
                message_expires_at=life)
        for n, life in ((4, 200), (3, 50), (2, 200), (1, 200))
    ]  # fmt: skip
    lone = Binding(key="sip:y", uri="sip:y", message_expires_at=200)
    found = reach_of(
        Record("bob@example.org", (*flows, lone)),
        100,
        lambda binding: Target(binding.uri.encode(), flow_token=binding.flow, binding=binding),
        lambda target: target.flow_token == "f2",
    )
    assert list(found) == ["<i>", "sip:y"]
    device = found["<i>"]
    assert device.target.flow_token == "f4" and device.named and device.registered_at == 4
    assert device.target.alternative is not None and device.target.alternative.flow_token == "f1"
    assert device.target.alternative.alternative is None
    assert not found["sip:y"].named


def test_any_look_ends_a_pause_but_no_rest(lane: Lane) -> None:
    lane.rest(503, None, 30.0, NOW)
    lane.pause(1.0, NOW)
    assert not lane.open(NOW + 2), "a pause does not shorten a rest"
    lane.found(reach(at=1), registered=False)
    assert not lane.open(NOW)
    lane.found(reach(at=1), registered=True)
    lane.pause(1.0, NOW)
    assert not lane.open(NOW)
    lane.found(reach(at=1), registered=False)
    assert lane.open(NOW)
