"""Whom a media port listens to, and where it sends: latching as a table. Sans-IO, addresses are opaque.

A phone behind NAT cannot know the address that its packets will come from, so the first valid packet teaches
it. Whoever can make a relay learn the wrong source makes audio one-way, or hears the call. Hence:

* Signalling says where packets are expected (*hint*: the SDP; *via*: the host that signalling came from).
  A source is ranked: 3 it is the hint, 2 it has the host of the hint or of signalling, 1 anything else.
  Rank 2 and 3 are believed at once; rank 1 is on *probation* until some packets in sequence came from it.
* A learned source is alone: all others are *foreign*, whatever they send, unless the source is silent for
  long, or for a moment while its own stream (same SSRC, sequence goes on) comes from elsewhere. For some
  seconds a better ranked source wins over a worse one that was first.
* Signalling that names another address (re-INVITE, UPDATE, a later answer) or says that the phone moved
  makes us learn again. What still arrives from the old source is *stale*: it may pass for a moment, but one
  late packet must not bring the old address back. Signalling that repeats itself changes nothing: a refresh
  or a hold must not send audio to an address in an SDP that never was reachable.
* Only media teaches for good. STUN, DTLS and ZRTP come before media and need answers: they teach tentatively.

`TABLE` decides; `_latch.pxd` is its twin in C, reads this very table and is tested by the same vectors.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from relay.address import Address, reachable
from relay.packet import Kind


class State(IntEnum):
    WAITING = 0  # nothing heard yet
    TENTATIVE = 1  # heard something, but no media
    LATCHED = 2
    RELEARNING = 3  # told that the source changes


class Seen(IntEnum):
    """What the source of a packet is to a latch."""

    OWN = 0  # the learned one
    STALE = 1  # the one that signalling took back, just now or still plausible
    GONE = 2  # the same, later, and not plausible any more
    RETURNED = 3  # the same, but it keeps sending and is plausible: nothing moved after all
    EXPECTED = 4  # plausible by signalling, and the place is free
    PROVEN = 5  # through probation, and the place is free
    UNPROVEN = 6  # on probation
    CONTINUED = 7  # another address, but the very stream of the learned source goes on there
    FOREIGN = 8


class Verdict(IntEnum):
    """What becomes of a packet. From DROP_FOREIGN on it is dropped."""

    PASS = 0
    LATCH = 1  # passes, and its source is learned
    TAKE = 2  # passes, and its source is learned tentatively
    DROP_FOREIGN = 3
    DROP_PROBATION = 4
    DROP_STALE = 5
    DROP_SOURCE = 6  # no packet of ours can come from there
    DROP_MALFORMED = 7


_P, _L, _T = Verdict.PASS, Verdict.LATCH, Verdict.TAKE
_F, _U, _S = Verdict.DROP_FOREIGN, Verdict.DROP_PROBATION, Verdict.DROP_STALE
# Rows: states. Columns: Seen, each for (media, something else).
TABLE: Final[tuple[tuple[tuple[Verdict, Verdict], ...], ...]] = (
    # OWN     STALE   GONE    RETURNED EXPECTED PROVEN UNPROVEN CONTINUED FOREIGN
    ((_F, _F), (_F, _F), (_F, _F), (_F, _F), (_L, _T), (_L, _T), (_U, _U), (_L, _T), (_F, _F)),  # WAITING
    ((_L, _P), (_F, _F), (_F, _F), (_F, _F), (_L, _T), (_L, _T), (_U, _U), (_L, _T), (_F, _F)),  # TENTATIVE
    ((_P, _P), (_F, _F), (_F, _F), (_F, _F), (_L, _F), (_L, _F), (_U, _F), (_L, _F), (_F, _F)),  # LATCHED
    ((_F, _F), (_P, _P), (_S, _S), (_L, _P), (_L, _T), (_L, _T), (_U, _U), (_L, _T), (_F, _F)),  # RELEARNING
)

SILENCE: Final = 5.0  # s after which a learned source has to compete again
QUIET: Final = 0.5  # s, the same for a tentative one
CONTINUES_AFTER: Final = 0.3  # s of silence after which a stream may go on elsewhere
LEARNING: Final = 10.0  # s in which a better ranked source replaces a worse one
GRACE: Final = 2.0  # s in which packets of an implausible old source still pass
RETURN_AFTER: Final = 1.5  # s, and
RETURN_PACKETS: Final = 25  # packets after which an old source counts as the real one
PROBATION_NATTED: Final = 2  # packets in sequence
PROBATION: Final = 10  # where the SDP is believed to be right
GAP: Final = 3000  # sequence numbers (RFC 3550 MAX_DROPOUT)
CANDIDATE_GAP: Final = 50


def ahead(sequence: int, last: int) -> int:
    """How far a sequence number is ahead of another, -32768 to 32767."""
    return (sequence - last + 0x8000 & 0xFFFF) - 0x8000


class Latch:
    """One media port. `rtcp` for a port of RTCP alone; `raw` where media is no RTP (T.38 over UDPTL)."""

    __slots__ = (
        "_asymmetric", "_barred", "_candidate", "_candidate_count", "_candidate_sequence",
        "_candidate_ssrc", "_hint", "_left", "_natted", "_rank", "_raw", "_rtcp", "_sibling", "_since",
        "_stale_packets", "_told", "_via", "heard", "held", "moves", "sequence", "source", "ssrc", "state",
    )  # fmt: skip

    def __init__(self, rtcp: bool = False, raw: bool = False) -> None:
        self.state = State.WAITING
        self.source: Address | None = None  # learned, until another is
        self.held = False  # signalling says: do not send
        self.heard = 0.0  # last valid packet of the source
        self.moves = 0  # how often a source was learned
        self.ssrc = self.sequence = -1  # of the last media packet; -1 for none
        self._rtcp, self._raw = rtcp, raw
        self._hint: Address | None = None
        self._via = self._sibling = ""
        self._natted = self._asymmetric = False
        self._rank = 0
        self._since = self._told = 0.0
        self._stale_packets = 0
        self._left: Address | None = None  # the source before this one
        self._barred = False  # it was left for good reason
        self._candidate: Address | None = None
        self._candidate_ssrc = self._candidate_sequence = -1
        self._candidate_count = 0

    def tell(
        self,
        host: str,
        port: int,
        now: float,
        *,
        via: str = "",
        natted: bool = False,
        moved: bool = False,
        asymmetric: bool = False,
    ) -> None:
        """Signalling says where the phone wants its packets: at first, and whenever it says so again.

        Port 0 or an unspecified host puts on hold. `via`: host that signalling came from. `natted`: the
        address is not believed to be the real one; nothing is sent there. `moved`: the phone changed its
        network, even if it names the old address. `asymmetric`: always send to the named address,
        whatever comes from where.
        """
        if port == 0 or not reachable(host):
            self.held = True
            return
        hint = Address(host, port)
        new = moved or hint != self._hint
        self.held = False
        self._hint, self._via, self._natted, self._asymmetric = hint, via, natted, asymmetric
        if not new or self.source is None:
            return
        self._rank = self._rank_of(self.source)
        if moved or self.source != hint:
            self._relearn(now)
        elif self.state == State.RELEARNING:
            self.state = State.LATCHED

    def follow(self, host: str, now: float) -> None:
        """The RTP port beside this RTCP port learned a source on this host: RTCP will come from there too."""
        self._sibling = host
        if self.source is not None and self.source.host != host:
            self._relearn(now)

    def restore(self, host: str, port: int, now: float) -> None:
        """After `tell`: begin with a source that another node had learned."""
        self.source, self.state = Address(host, port), State.LATCHED
        self.heard = self._since = now
        self._rank = self._rank_of(self.source)

    @property
    def destination(self) -> Address | None:
        """Where to send now; None for nowhere."""
        if self.held:
            return None
        if self._asymmetric:
            return self._hint
        if self.source is not None and (self.state != State.RELEARNING or self._natted):
            return self.source
        return None if self._natted else self._hint

    def judge(self, host: str, port: int, kind: Kind, ssrc: int, sequence: int, now: float) -> Verdict:
        """A packet came: what becomes of it. `sequence` counts only where kind is RTP."""
        if kind == Kind.OTHER and not self._raw:
            return Verdict.DROP_MALFORMED
        if port == 0 or not reachable(host):
            return Verdict.DROP_SOURCE
        media = self._raw or kind == (Kind.RTCP if self._rtcp else Kind.RTP)
        numbered = kind == Kind.RTP and not self._rtcp and not self._raw
        source = Address(host, port)
        seen = self._see(source, media, numbered, ssrc, sequence, now)
        verdict = TABLE[self.state][seen][0 if media else 1]
        if verdict in (Verdict.LATCH, Verdict.TAKE):
            self._learn(source, verdict, seen, now)
        if verdict < Verdict.DROP_FOREIGN and source == self.source:
            self.heard = now
            if numbered:
                self._number(ssrc, sequence)
        return verdict

    def _see(
        self, source: Address, media: bool, numbered: bool, ssrc: int, sequence: int, now: float
    ) -> Seen:
        if source == self.source:
            return self._see_old(media, now) if self.state == State.RELEARNING else Seen.OWN
        continues = numbered and ssrc == self.ssrc and self.sequence >= 0
        step = ahead(sequence, self.sequence) if continues else 0
        rank = self._rank_of(source)
        barred = self._barred and source == self._left and now - self._since < LEARNING
        if self.state == State.LATCHED or (self.state == State.TENTATIVE and not media):
            silent = now - self.heard
            if continues and 0 < step <= GAP and silent >= CONTINUES_AFTER:
                return Seen.CONTINUED
            if silent < (SILENCE if self.state == State.LATCHED else QUIET):
                better = rank > self._rank and now - self._since < LEARNING and not barred
                return Seen.EXPECTED if better else Seen.FOREIGN
            if continues and -GAP < step <= 0:  # late, or a copy
                return Seen.FOREIGN
        elif barred:
            return Seen.FOREIGN
        elif continues and 0 < step <= GAP:
            return Seen.CONTINUED
        if rank >= 2:
            return Seen.EXPECTED
        return self._probe(source, numbered, ssrc, sequence)

    def _see_old(self, media: bool, now: float) -> Seen:
        self._stale_packets += media
        if self._rank >= 2:
            stays = self._stale_packets >= RETURN_PACKETS and now - self._told >= RETURN_AFTER
            return Seen.RETURNED if stays else Seen.STALE
        return Seen.STALE if now - self._told < GRACE else Seen.GONE

    def _probe(self, source: Address, numbered: bool, ssrc: int, sequence: int) -> Seen:
        follows = source == self._candidate and (
            not numbered
            or (
                ssrc == self._candidate_ssrc
                and 0 < ahead(sequence, self._candidate_sequence) <= CANDIDATE_GAP
            )
        )
        self._candidate_count = self._candidate_count + 1 if follows else 1
        self._candidate = source
        if numbered or not follows:
            self._candidate_ssrc, self._candidate_sequence = ssrc, sequence
        needed = PROBATION_NATTED if self._natted or not numbered else PROBATION
        return Seen.PROVEN if self._candidate_count >= needed else Seen.UNPROVEN

    def _learn(self, source: Address, verdict: Verdict, seen: Seen, now: float) -> None:
        if source != self.source:
            self._left = self.source
            self._barred = self.state == State.RELEARNING or seen == Seen.CONTINUED
            self.source = source
            self.moves += 1
            self._since = now
            self.ssrc = self.sequence = -1
        self._rank = self._rank_of(source)
        self.state = State.LATCHED if verdict == Verdict.LATCH else State.TENTATIVE
        self._candidate = None

    def _number(self, ssrc: int, sequence: int) -> None:
        """Remember the furthest sequence number, unless the stream began anew."""
        if ssrc != self.ssrc or not -GAP < ahead(sequence, self.sequence) <= 0:
            self.ssrc, self.sequence = ssrc, sequence

    def _relearn(self, now: float) -> None:
        self.state = State.RELEARNING
        self._told = now
        self._stale_packets = 0
        self._candidate = None
        self._barred = False  # signalling may bring back whom it took away before

    def _rank_of(self, source: Address) -> int:
        if source == self._hint:
            return 3
        known = (self._hint.host if self._hint else "", self._via, self._sibling)
        return 2 if source.host in known else 1
