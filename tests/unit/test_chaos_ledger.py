"""The judge of the chaos test finds what is lost, doubled and out of order, and takes no excuse but a real
one."""

from __future__ import annotations

import itertools

import pytest

from tests.failover.chaos.chronicle import Arrival, Attempt, Chronicle, Fault, Sent, Session
from tests.failover.chaos.ledger import AFTER, READ, TELLING, judge

DEVICE, OTHER = "bob/0", "bob/1"
_branches = itertools.count()


class Story:
    """A chronicle in few words. Each message is answered one second after it was sent."""

    def __init__(self, *devices: str) -> None:
        self.notes = Chronicle()
        self.sessions = {device: Session(device, "a", "tcp", 0.0) for device in devices or (DEVICE,)}
        for device in self.sessions:
            self.notes.register(device, "bob", 0.0)

    def sent(self, number: int, at: float, status: int = 202, node: str = "a", expires: float = 0.0) -> Sent:
        sent = Sent(number, "alice", "bob", number, f"call-{number}", expires)
        sent.attempts.append(Attempt(node, at, status, at + 1))
        self.notes.sent[number] = sent
        return sent

    def came(
        self,
        number: int,
        at: float,
        status: int = 200,
        node: str = "a",
        device: str = DEVICE,
        late: float = 0.0,
    ) -> Arrival:
        """A copy, answered `late` seconds later (status 0: never)."""
        branch = f"z9hG4bK{next(_branches)}"
        arrival, _ = self.notes.arrive(number, branch, (node,), at, self.sessions[device])
        if status:
            arrival.status, arrival.answered = status, at + late
        return arrival

    def fault(self, kind: str, node: str, start: float, end: float) -> None:
        self.notes.faults.append(Fault(kind, node, start, end))

    @property
    def wrong(self) -> list[tuple[str, int, str]]:
        return [(one.kind, one.number, one.device) for one in judge(self.notes).violations]


def test_what_reached_every_device_once_is_right() -> None:
    story = Story(DEVICE, OTHER)
    for number in (1, 2):
        story.sent(number, 10.0 * number)
        for device in (DEVICE, OTHER):
            story.came(number, 10.0 * number + 5, device=device)
    verdict = judge(story.notes)
    assert story.wrong == []
    assert (verdict.accepted, verdict.owed, verdict.delivered) == ({202: 2}, 4, 4)
    assert not verdict.repeated


@pytest.mark.parametrize("status", [200, 202])
def test_a_device_that_never_got_it_has_lost_it(status: int) -> None:
    story = Story(DEVICE, OTHER)
    story.sent(1, 10, status)
    story.came(1, 11)
    assert story.wrong == [("lost", 1, OTHER)]


def test_a_copy_that_was_refused_or_never_answered_is_no_delivery() -> None:
    story = Story()
    story.sent(1, 10)
    story.came(1, 11, 503)
    story.came(1, 12, 0)
    assert ("lost", 1, DEVICE) in story.wrong


def test_what_was_not_accepted_may_be_lost_or_arrive() -> None:
    story = Story()
    story.sent(1, 10, 503)
    story.sent(2, 20, 0)
    story.came(2, 25)
    assert story.wrong == []
    assert judge(story.notes).given_up == 2


def test_an_unexpected_answer_is_told() -> None:
    story = Story()
    story.sent(1, 10, 404)
    assert story.wrong == [("refused", 1, "")]


def test_a_device_that_came_later_is_owed_nothing() -> None:
    story = Story()
    story.notes.register(OTHER, "bob", 10.5)
    story.sent(1, 10)
    story.came(1, 11)
    assert story.wrong == []


def test_a_second_copy_without_a_reason_is_doubled() -> None:
    story = Story()
    story.sent(1, 10)
    story.came(1, 11)
    story.came(1, 20)
    assert story.wrong == [("doubled", 1, DEVICE)]


def test_a_copy_that_comes_while_another_is_open_is_doubled() -> None:
    story = Story()
    story.sent(1, 10)
    story.came(1, 11, late=2)
    story.came(1, 12)
    assert story.wrong == [("doubled", 1, DEVICE)]


@pytest.mark.parametrize(
    ("kind", "end", "right"),
    [("stop", 12.9, True), ("kill", 12.9, False), ("stop", 11.5, False), ("stop", 13.1, False)],
)
def test_a_copy_that_waited_in_a_stopped_node_comes_when_that_goes_on(
    kind: str, end: float, right: bool
) -> None:
    story = Story()
    story.sent(1, 9)
    story.fault(kind, "b", 9.5, end)
    story.came(1, 11)
    story.came(1, 13, node="b")
    assert (story.wrong == []) is right


@pytest.mark.parametrize(
    ("node", "at", "right"), [("b", 11.6, True), ("b", 11.4, False), ("a", 11.6, False), ("b", 13.1, False)]
)
def test_a_late_answer_explains_what_another_node_did_before_it(node: str, at: float, right: bool) -> None:
    story = Story()
    story.sent(1, 10)
    story.came(1, 11, late=2)
    story.came(1, at, node=node)
    assert (story.wrong == []) is right
    assert [one.kind for one in judge(story.notes, strict=True).violations] == ["doubled"]


def test_a_third_copy_needs_that_both_before_it_have_an_excuse() -> None:
    story = Story()
    story.sent(1, 10)
    story.came(1, 11, 0).dropped = True
    story.came(1, 20)
    assert story.wrong == []
    story.came(1, 30)
    assert story.wrong == [("doubled", 1, DEVICE)]


def test_a_retransmission_is_no_copy() -> None:
    story = Story()
    story.sent(1, 10)
    first = story.came(1, 11)
    assert story.notes.arrive(1, first.branch, ("a",), 11.5, first.session) == (first, False)
    assert story.wrong == []


def test_a_dropped_or_refusing_answer_and_a_lost_connection_explain_a_repeat() -> None:
    story = Story()
    for number, spoil in enumerate(("dropped", "refused", "left"), 1):
        story.sent(number, 100.0 * number)
        arrival = story.came(number, 100.0 * number + 1, 503 if spoil == "refused" else 200)
        if spoil == "dropped":
            arrival.status, arrival.dropped = 0, True
        if spoil == "left":
            arrival.session.ended = arrival.answered + READ / 2
        story.came(number, 100.0 * number + 50)
    verdict = judge(story.notes)
    assert verdict.violations == []
    assert verdict.retried == 1
    assert sum(verdict.repeated.values()) == 2


def test_a_connection_that_ended_later_explains_nothing() -> None:
    story = Story()
    story.sent(1, 10)
    story.came(1, 11).session.ended = 11 + READ * 1.1
    story.came(1, 20)
    assert story.wrong == [("doubled", 1, DEVICE)]


@pytest.mark.parametrize(
    ("kind", "node", "start", "end", "explains"),
    [
        ("kill", "a", 11.5, 13, True),
        ("stop", "a", 5, 10.9, True),  # what it broke is being put right
        ("kill", "b", 11, 13, False),  # another node
        ("stop", "a", 5, 11 - AFTER * 1.1, False),  # before
        ("cut-redis", "a", 11 + READ * 1.1, 13, False),  # after
        ("redis-failover", "", 11.5, 13, True),
        ("redis-restart", "", 14, 15, False),
    ],
)
def test_a_fault_explains_a_repeat_only_where_and_when_it_was(
    kind: str, node: str, start: float, end: float, explains: bool
) -> None:
    story = Story()
    story.sent(1, 10)
    story.fault(kind, node, start, end)
    story.came(1, 11)
    story.came(1, 20)
    assert (story.wrong == []) is explains


def test_each_repeat_of_the_sender_explains_one_copy() -> None:
    story = Story()
    sent = story.sent(1, 10, 0)
    sent.attempts.append(Attempt("b", 15, 202, 16))
    story.came(1, 11)
    story.came(1, 20)
    assert story.wrong == []
    story.came(1, 30)
    assert story.wrong == [("doubled", 1, DEVICE)]


def test_a_repeat_of_the_sender_that_the_device_refused_for_now_comes_once_more() -> None:
    story = Story()
    story.sent(1, 10, 0).attempts.append(Attempt("b", 15, 202, 16))
    story.came(1, 11)
    story.came(1, 20, 503)
    story.came(1, 21)
    assert story.wrong == []
    story.came(1, 22)
    assert story.wrong == [("doubled", 1, DEVICE)]


def test_a_repeat_before_the_sender_repeated_is_doubled() -> None:
    story = Story()
    sent = story.sent(1, 10, 0)
    sent.attempts.append(Attempt("b", 15, 202, 16))
    story.came(1, 11)
    story.came(1, 12)
    assert story.wrong == [("doubled", 1, DEVICE)]


def test_first_copies_in_the_wrong_order_are_misordered() -> None:
    story = Story()
    for number in (1, 2, 3):
        story.sent(number, 10.0 + 2 * number)
    for number, at in ((1, 20), (3, 21), (2, 22)):
        story.came(number, at)
    assert story.wrong == [("misordered", 2, DEVICE)]


def test_what_a_device_refused_first_has_its_place_when_it_takes_it() -> None:
    story = Story()
    story.sent(1, 10)
    story.sent(2, 12)
    story.came(1, 11, 503)
    story.came(2, 13)
    story.came(1, 14)
    assert story.wrong == [("misordered", 1, DEVICE)]


def test_repeats_and_what_was_not_accepted_have_no_order() -> None:
    story = Story()
    story.sent(1, 10, 503)
    story.sent(2, 12)
    story.sent(3, 14)
    story.came(2, 20, 0).dropped = True
    story.came(3, 21)
    story.came(2, 22)
    story.came(1, 23)
    assert story.wrong == []


def test_an_expiry_must_be_told() -> None:
    story = Story()
    story.sent(1, 10, expires=3)
    assert story.wrong == [("silent", 1, DEVICE)]
    story.notes.expired["call-1"] = (DEVICE,)
    assert story.wrong == []
    assert judge(story.notes).expired == 1


@pytest.mark.parametrize(("start", "excused"), [(14.0 + TELLING / 2, True), (15.0 + TELLING * 1.5, False)])
def test_only_a_fault_at_that_time_explains_an_untold_expiry(start: float, excused: bool) -> None:
    story = Story()
    story.sent(1, 10, expires=3)
    story.fault("kill", "a", start, start + 1)
    assert (story.wrong == []) is excused


def test_a_stray_is_told() -> None:
    story = Story()
    story.notes.strays.append("carol/0 got number 1")
    assert [one.kind for one in judge(story.notes).violations] == ["stray"]


@pytest.mark.parametrize(
    ("status", "told", "kind", "right"),
    [
        (200, True, "redis-failover", True),
        (200, True, "cut-redis", True),
        (200, False, "redis-failover", False),
        (200, True, "kill", False),
        (202, True, "redis-failover", False),
    ],
)
def test_only_what_another_device_took_may_be_told_as_not_kept(
    status: int, told: bool, kind: str, right: bool
) -> None:
    story = Story(DEVICE, OTHER)
    story.sent(1, 10, status)
    story.came(1, 10.5)
    story.fault(kind, "a", 9, 12)
    if told:
        story.notes.not_kept.add("call-1")
    assert (story.wrong == []) is right


@pytest.mark.parametrize(
    ("status", "born", "node", "right"),
    [
        (200, 9.5, "a", True),
        (202, 9.5, "a", False),  # it was stored
        (200, 8.5, "a", False),  # registered before the cut
        (200, 9.5, "b", False),  # another node was cut off
    ],
)
def test_a_node_that_is_cut_off_cannot_know_a_new_device(
    status: int, born: float, node: str, right: bool
) -> None:
    story = Story()
    story.notes.register(OTHER, "bob", born)
    story.fault("cut-redis", node, 9, 12)
    story.sent(1, 10, status)
    story.came(1, 10.5)
    assert (story.wrong == []) is right
