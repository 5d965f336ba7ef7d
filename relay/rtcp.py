"""What RTCP says about a call: reading of sender and receiver reports, and the round trip they show. Sans-IO.

A relay stands between two phones. A sender report of one phone passes at a known time; the other one's report
about it names that report and how long it was kept, so the rest is the way from here to there and back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

_SENDER_REPORT: Final = 200
_RECEIVER_REPORT: Final = 201
_HEADER: Final = struct.Struct("!BBH")
_BLOCK: Final = struct.Struct("!IIIIII")
_KEPT: Final = 4  # sender reports whose time is remembered


class SenderReport(NamedTuple):
    ssrc: int
    stamp: int  # the middle 32 bits of its NTP time, by which reports name it


class ReportBlock(NamedTuple):
    """What a receiver says about one source that it hears."""

    ssrc: int  # of that source
    fraction_lost: float  # since the report before, 0 to 1
    lost: int  # packets altogether; negative when there were copies
    jitter: int  # timestamp units
    stamp: int  # last sender report of that source that it had; 0 for none
    kept: float  # s since then


def read(data: bytes) -> Iterator[SenderReport | ReportBlock]:
    """The reports in a (compound) RTCP datagram. What does not fit its own length ends the reading."""
    at = 0
    while at + 8 <= len(data):
        first, kind, words = _HEADER.unpack_from(data, at)
        end = at + 4 * (words + 1)
        if first >> 6 != 2 or end > len(data):
            return
        if kind in (_SENDER_REPORT, _RECEIVER_REPORT):
            blocks = at + (28 if kind == _SENDER_REPORT else 8)
            if blocks > end:
                return
            if kind == _SENDER_REPORT:
                ssrc = int.from_bytes(data[at + 4 : at + 8], "big")
                yield SenderReport(ssrc, int.from_bytes(data[at + 10 : at + 14], "big"))
            for number in range(min(first & 31, (end - blocks) // _BLOCK.size)):
                yield _block(data, blocks + number * _BLOCK.size)
        at = end


def _block(data: bytes, at: int) -> ReportBlock:
    ssrc, losses, _, jitter, stamp, kept = _BLOCK.unpack_from(data, at)
    lost = losses & 0xFFFFFF
    return ReportBlock(
        ssrc,
        (losses >> 24) / 256,
        lost - 0x1000000 if lost & 0x800000 else lost,
        jitter,
        stamp,
        kept / 65536,
    )


class Reports:
    """The RTCP of one phone: when its reports passed, and what it said about the other one."""

    __slots__ = (
        "_stamps", "fraction_sum", "jitter", "lost", "reports", "round_trip", "round_trip_sum", "round_trips"
    )  # fmt: skip

    def __init__(self) -> None:
        self._stamps: list[tuple[int, float]] = []
        self.reports = 0  # report blocks
        self.fraction_sum = 0.0  # of lost packets; by `reports`: the mean
        self.lost = 0  # as last reported
        self.jitter = 0  # timestamp units, as last reported
        self.round_trip = 0.0  # s from here to this phone and back, as last measured
        self.round_trip_sum = 0.0
        self.round_trips = 0

    def passed(self, data: bytes, other: Reports | None, now: float) -> None:
        """An RTCP datagram of this phone passed; `other`: the reports of the phone it hears."""
        for report in read(data):
            if isinstance(report, SenderReport):
                self._stamps = [*self._stamps[-_KEPT + 1 :], (report.stamp, now)]
                continue
            self.reports += 1
            self.fraction_sum += report.fraction_lost
            self.lost, self.jitter = report.lost, report.jitter
            at = other.sent_at(report.stamp) if other is not None and report.stamp else None
            if at is not None and 0 <= now - at - report.kept < 10:
                self.round_trip = now - at - report.kept
                self.round_trip_sum += self.round_trip
                self.round_trips += 1

    def sent_at(self, stamp: int) -> float | None:
        """When the sender report with this stamp passed; None if that is not known (any more)."""
        return next((at for one, at in reversed(self._stamps) if one == stamp), None)
