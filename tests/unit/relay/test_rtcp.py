"""RTCP is read as far as it is true, and gives the round trip on each side of the relay."""

import random

import pytest

from relay.quality import mean_opinion_score, rating
from relay.rtcp import ReportBlock, Reports, SenderReport, read
from tests.unit.relay.reports import BYE, block, receiver, sender


def test_reading_a_compound_packet() -> None:
    data = sender(7, 0xABCD1234, block(8, 64, -2, 99, 0x1111, 1.5)) + BYE + receiver(9, block(7))
    assert list(read(data)) == [
        SenderReport(7, 0xABCD1234),
        ReportBlock(8, 0.25, -2, 99, 0x1111, 1.5),
        ReportBlock(7, 0.0, 0, 0, 0, 0.0),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x81\xc9",
        receiver(9, block(7))[:-1],
        b"\x9f" + receiver(9)[1:],  # 31 blocks that are not there
        b"\x80\xc8\x00\x01" + bytes(4),  # a sender report without its body
        b"\x81\xc9\xff\xff" + bytes(40),
    ],
)
def test_lies_give_nothing(data: bytes) -> None:
    assert list(read(data)) == []


def test_mutations_never_raise() -> None:
    chance = random.Random(1)
    whole = sender(7, 1, block(8), block(9)) + BYE
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(3):
            data[chance.randrange(len(data))] = chance.randrange(256)
        list(read(bytes(data[: chance.randrange(len(data) + 1)])))


def test_round_trip() -> None:
    caller, callee = Reports(), Reports()
    caller.passed(sender(7, 0x5000), callee, 10.0)
    callee.passed(receiver(8, block(7, 128, 50, 80, 0x5000, 2.0)), caller, 12.25)
    assert callee.round_trip == pytest.approx(0.25)
    assert (callee.round_trips, callee.reports, callee.lost, callee.jitter) == (1, 1, 50, 80)
    assert callee.fraction_sum == 0.5
    assert caller.round_trips == 0


def test_no_round_trip_from_nonsense() -> None:
    caller, callee = Reports(), Reports()
    caller.passed(sender(7, 0x5000), callee, 10.0)
    for one in (block(7), block(7, stamp=0x5001), block(7, stamp=0x5000, kept=3.0), block(7, stamp=0x5000)):
        callee.passed(receiver(8, one), caller, 12.0 if one != block(7, stamp=0x5000) else 99.0)
    assert callee.round_trips == 0
    for stamp in range(1, 6):  # 0x5000 is forgotten
        caller.passed(sender(7, stamp), callee, 10.0 + stamp)
    assert caller.sent_at(0x5000) is None
    assert caller.sent_at(2) == 12.0


def test_mean_opinion_score() -> None:
    assert mean_opinion_score(0, 0.02, 0) == pytest.approx(4.39, abs=0.05)
    assert 3.7 < mean_opinion_score(0.05, 0.1, 0.01) < 3.9
    assert mean_opinion_score(1, 5, 1) == 1.0
    assert mean_opinion_score(0, 0.02, 0, "g729") < mean_opinion_score(0, 0.02, 0, "PCMA")
    worse = [mean_opinion_score(loss / 100, 0.05, 0.002) for loss in range(0, 60, 5)]
    assert worse == sorted(worse, reverse=True)
    assert [rating(0, delay, 0) > rating(0, delay + 0.1, 0) for delay in (0, 0.1, 0.4)] == [True] * 3
    assert 0 <= rating(-1, -1, -1) <= 93.2
