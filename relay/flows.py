"""One flow: a media socket, whom it listens to, where packets leave, what was counted. Sans-IO.

A forwarder keeps a table of them. `Entry` is a row as another forwarder could take it, one in the kernel too.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from relay.address import Address
from relay.latch import Latch, State, Verdict
from relay.packet import Kind, kind_of, rtp_header, ssrc_of
from relay.rtcp import Reports
from relay.stream import Stream

TARGETS: Final = 8  # most flows that the packets of one leave from
LARGEST: Final = 2048  # octets of a datagram; longer ones are dropped


class Drop(IntEnum):
    """Why a packet was dropped."""

    FOREIGN = 0  # not from the learned source
    PROBATION = 1  # first packets of a source nobody expects
    STALE = 2  # from a source that signalling took back
    SOURCE = 3  # from an impossible address
    MALFORMED = 4  # neither RTP, RTCP, STUN, DTLS nor ZRTP, or cut off
    OVERSIZED = 5  # longer than LARGEST
    FLOOD = 6  # over the rate of the stream
    NOWHERE = 7  # nobody to send it to (yet, or on hold)
    REFUSED = 8  # the kernel did not take it


class What(IntEnum):
    """What a forwarder tells about a flow."""

    LATCHED = 0  # a source was learned
    IDLE = 1  # nothing valid came for as long as was set
    BACK = 2  # something came again
    FLOOD = 3  # packets are dropped because there are too many


class Event(NamedTuple):
    flow: int
    what: What
    at: float  # s, monotonic


class Options(NamedTuple):
    """How a flow is treated. All of it stays as it is while the flow lives."""

    rtcp: bool = False  # a port of RTCP alone
    raw: bool = False  # media is no RTP (T.38)
    encrypted: bool = False  # RTCP cannot be read
    clock: int = 8000  # RTP timestamp units per second
    rate: float = 0.0  # octets per second that may pass; 0 for any
    burst: float = 0.0  # octets that may pass at once
    idle: float = 0.0  # s without a valid packet until IDLE is told; 0 for never


class Counters(NamedTuple):
    """What happened to a flow so far, and whom it knows. Times are seconds."""

    packets: int  # valid ones that came
    octets: int  # of their payloads
    sent: int  # packets that left from this flow
    sent_octets: int
    dropped: tuple[int, ...]  # by Drop
    heard: float  # last valid packet, monotonic; 0 for never
    moves: int  # sources learned
    ssrc: int  # of the RTP stream that came last; -1 for none
    received: int  # RTP packets
    expected: int
    jitter: float
    reports: int  # what this phone said about what it hears, see `rtcp.Reports`
    reported_fraction: float  # mean
    reported_lost: int
    reported_jitter: int
    round_trip: float
    round_trip_mean: float
    round_trips: int
    state: State
    source: Address | None
    destination: Address | None

    @property
    def lost(self) -> int:
        """RTP packets that did not come."""
        return max(0, self.expected - self.received)


class Entry(NamedTuple):
    """A row of the table: what comes from `source` to `local` leaves from `leaves` to `destination`."""

    local: Address
    source: Address | None
    leaves: Address
    destination: Address
    dscp: int


class Flow:
    """The state of one flow in plain Python."""

    __slots__ = (
        "_flood_told", "_idle_from", "_idle_told", "_tokens", "_tokens_at", "beside", "dropped", "fd",
        "latch", "number", "octets", "options", "packets", "reports", "sent", "sent_octets", "stream",
        "targets",
    )  # fmt: skip

    def __init__(self, number: int, fd: int, options: Options, now: float) -> None:
        self.number, self.fd, self.options = number, fd, options
        self.latch = Latch(options.rtcp, options.raw)
        self.stream, self.reports = Stream(options.clock), Reports()
        self.targets: tuple[int, ...] = ()
        self.beside: int | None = None  # the flow of the RTCP port that belongs to this RTP port
        self.packets = self.octets = self.sent = self.sent_octets = 0
        self.dropped = [0] * len(Drop)
        self._tokens, self._tokens_at = options.burst, now
        self._idle_from, self._idle_told = now, False
        self._flood_told = 0.0

    def passes(
        self, data: bytes, host: str, port: int, other: Reports | None, now: float
    ) -> tuple[bool, list[What]]:
        """Whether a packet passes, and what there is to tell. `other`: RTCP of the phone it is sent to."""
        if len(data) > LARGEST:
            return self._drop(Drop.OVERSIZED), []
        kind = kind_of(data)
        header = rtp_header(data) if kind == Kind.RTP else None
        sequence = header.sequence if header else 0
        verdict = self.latch.judge(host, port, kind, ssrc_of(kind, data), sequence, now)
        if verdict >= Verdict.DROP_FOREIGN:
            return self._drop(Drop(verdict - Verdict.DROP_FOREIGN)), []
        told = [What.LATCHED] if verdict != Verdict.PASS else []
        self._idle_from = now
        if self._idle_told:
            self._idle_told = False
            told.append(What.BACK)
        if self._floods(len(data), now):
            if now - self._flood_told >= 1:
                self._flood_told = now
                told.append(What.FLOOD)
            return self._drop(Drop.FLOOD), told
        self.packets += 1
        self.octets += len(data)
        if header and not self.options.rtcp and not self.options.raw:
            self.stream.arrived(header.ssrc, header.sequence, header.timestamp, now)
        elif kind == Kind.RTCP and not self.options.encrypted:
            self.reports.passed(data, other, now)
        return True, told

    def falls_idle(self, now: float) -> bool:
        """Whether it is time to tell that nothing comes."""
        if self._idle_told or not self.options.idle or now - self._idle_from < self.options.idle:
            return False
        self._idle_told = True
        return True

    def counters(self) -> Counters:
        latch, stream, reports = self.latch, self.stream, self.reports
        return Counters(
            self.packets, self.octets, self.sent, self.sent_octets, tuple(self.dropped),
            latch.heard, latch.moves, stream.ssrc, stream.received, stream.expected, stream.jitter,
            reports.reports, reports.fraction_sum / (reports.reports or 1), reports.lost, reports.jitter,
            reports.round_trip, reports.round_trip_sum / (reports.round_trips or 1), reports.round_trips,
            latch.state, latch.source, latch.destination,
        )  # fmt: skip

    def _floods(self, size: int, now: float) -> bool:
        """Take what the packet needs out of the token bucket."""
        options = self.options
        if not options.rate:
            return False
        self._tokens = min(options.burst, self._tokens + (now - self._tokens_at) * options.rate)
        self._tokens_at = now
        if self._tokens < size:
            return True
        self._tokens -= size
        return False

    def _drop(self, why: Drop) -> bool:
        self.dropped[why] += 1
        return False
