"""A media line of a relay session: the phone that offered on one side, those that answer on others."""

from __future__ import annotations

from typing import NamedTuple

from relay.flows import Counters, Drop
from relay.quality import mean_opinion_score
from relay.side import Side


class Heard(NamedTuple):
    """How one phone is heard by the other. Times are seconds."""

    packets: int
    octets: int
    loss: float  # 0 to 1, to the listener where it reports, else to the relay
    jitter: float
    round_trip: float  # of both ways together, as far as it is known
    mean_opinion_score: float  # 0 where nothing was heard
    dropped: dict[str, int]  # by reason, without zeros


def heard(talker: Side, listener: Side, clock: int, codec: str) -> Heard:
    """How `listener` hears `talker`."""
    sent, reported = talker.counters(), _reports(listener)
    loss = reported.reported_fraction if reported.reports else sent.lost / max(sent.expected, 1)
    jitter = reported.reported_jitter / clock if reported.reports else sent.jitter
    round_trip = reported.round_trip_mean + _reports(talker).round_trip_mean
    return Heard(
        sent.packets,
        sent.octets,
        loss,
        jitter,
        round_trip,
        mean_opinion_score(loss, round_trip, jitter, codec) if sent.received else 0.0,
        {why.name.lower(): sent.dropped[why] for why in Drop if sent.dropped[why]},
    )


def _reports(side: Side) -> Counters:
    """The counters in which RTCP of a side stands: of its own port, unless it comes with the media."""
    apart = side.rtcp_counters()
    return apart if apart is not None and apart.packets else side.counters()


class Line:
    """The sides of one media line, and who hears whom.

    What the near phone says goes to all far sides. It hears one of them: the last that was asked for with
    `hear`, at first the first. Before an answer that is early media; `keep` ends the other sides.
    """

    __slots__ = ("_forwarder", "clock", "codec", "far", "hears", "near")

    def __init__(self, near: Side, clock: int = 8000, codec: str = "pcmu") -> None:
        self.near = near
        self.far: dict[str, Side] = {}
        self.hears = ""
        self.clock, self.codec = clock, codec
        self._forwarder = near.shared.forwarder

    def sides(self) -> list[Side]:
        return [self.near, *self.far.values()]

    def join(self, side: Side) -> None:
        """A phone that may answer."""
        self.far[side.name] = side
        self.hears = self.hears or side.name
        self.connect()

    def hear(self, name: str) -> None:
        """The near phone hears this far side and no other. KeyError if there is none."""
        self.hears = self.far[name].name
        self.connect()

    def keep(self, name: str, now: float) -> None:
        """This far side is the answer: the others end."""
        self.hear(name)
        for other in [one for one in self.far if one != name]:
            self.part(other, now)

    def part(self, name: str, now: float) -> None:
        """A far side ends. KeyError if there is none."""
        side = self.far.pop(name)
        if self.hears == name:
            self.hears = next(iter(self.far), "")
        self.connect()
        side.close(now)

    def connect(self) -> None:
        """Write the routes into the table."""
        far = list(self.far.values())
        # the one that is heard first: reports of the near phone speak of it
        far.sort(key=lambda side: side.name != self.hears)
        self._forwarder.route(self.near.flow, [side.flow for side in far])
        if self.near.rtcp_flow is not None:
            rtcp = [side.rtcp_flow for side in far if side.rtcp_flow is not None]
            self._forwarder.route(self.near.rtcp_flow, rtcp)
        for side in far:
            listening = side.name == self.hears
            self._forwarder.route(side.flow, [self.near.flow] if listening else [])
            if side.rtcp_flow is not None:
                back = [self.near.rtcp_flow] if listening and self.near.rtcp_flow is not None else []
                self._forwarder.route(side.rtcp_flow, back)

    def statistics(self) -> tuple[Heard, Heard] | None:
        """How the near phone is heard by the far one, and the other way; None while there is no far one."""
        far = self.far.get(self.hears)
        if far is None:
            return None
        return heard(self.near, far, self.clock, self.codec), heard(far, self.near, self.clock, self.codec)

    def close(self, now: float) -> None:
        for side in self.sides():
            side.close(now)
        self.far.clear()
