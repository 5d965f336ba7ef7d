"""The judge: reads a chronicle and says what was lost, doubled without a reason, or out of order.

A device may get a message twice only if every earlier copy has an excuse, worked out from what was recorded:
the device did not say 2xx, its answer was dropped, its connection ended before the answer can have been read,
a node on the way of that copy was killed, stopped or cut off between the copy and its mark, or Redis was
restarted or failed over then. A sender that had to ask again explains one copy for each time it asked.

Unless it is `strict`, another node may also have asked a phone that was silent for longer than a node waits
before it stores a message.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.failover.chaos.chronicle import Arrival, Chronicle, Fault, Sent
from tests.failover.chaos.plan import SWEEP

READ = 1.0  # s after an answer in which the node may not have read it, or not have marked it in Redis
AFTER = 1.0  # s after a fault in which what it broke is still being put right
TELLING = 2 * SWEEP  # s after an expiry in which the collector tells it
MOMENT = 0.5  # s after which a node stores what a phone has not answered (node.messages.attempts)
STORES = ("redis-restart", "redis-failover")
CUTS = ("cut-redis", "cut-both")
NO_STORE = (*STORES, *CUTS)


@dataclass(slots=True)
class Violation:
    """`kind`: lost, doubled, misordered, stray, refused or silent (expired without a word)."""

    kind: str
    number: int
    device: str
    text: str


@dataclass(slots=True)
class Verdict:
    """The sums of a run, and what was wrong with it."""

    accepted: Counter[int] = field(default_factory=Counter)  # by status
    given_up: int = 0
    owed: int = 0  # copies: one for each accepted message and device
    delivered: int = 0
    repeated: Counter[str] = field(default_factory=Counter)  # by excuse
    retried: int = 0  # after a final answer other than 2xx
    expired: int = 0
    not_kept: int = 0  # one device took it, and it could not be stored for another
    unseen: int = 0  # a node that was cut off could not know the device yet
    violations: list[Violation] = field(default_factory=list)


def judge(chronicle: Chronicle, strict: bool = False) -> Verdict:
    """What the run was worth."""
    return _Ledger(chronicle, strict).verdict()


class _Ledger:
    def __init__(self, chronicle: Chronicle, strict: bool) -> None:
        self._seen = chronicle
        self._strict = strict
        self._verdict = Verdict()

    def verdict(self) -> Verdict:
        for sent in self._seen.sent.values():
            self._count(sent)
        for copies in self._seen.arrivals.values():
            for arrivals in copies.values():
                self._repeats(arrivals)
        self._order()
        for text in self._seen.strays:
            self._accuse("stray", 0, "", text)
        return self._verdict

    def _accuse(self, kind: str, number: int, device: str, text: str) -> None:
        self._verdict.violations.append(Violation(kind, number, device, text))

    def _count(self, sent: Sent) -> None:
        """Accepted or given up; and each device has it."""
        for one in sent.attempts:
            if one.status not in (0, 200, 202, 503):
                self._accuse("refused", sent.number, "", f"{one.node} answered {one.status}")
        if not sent.accepted:
            self._verdict.given_up += 1
            return
        self._verdict.accepted[sent.accepted] += 1
        for device in self._seen.devices_of(sent):
            self._verdict.owed += 1
            if any(one.status // 100 == 2 for one in self._copies(device, sent.number)):
                self._verdict.delivered += 1
            elif self._unseen(sent, device):
                self._verdict.unseen += 1
            elif self._not_kept(sent):
                self._verdict.not_kept += 1
            elif not sent.expires:
                self._accuse("lost", sent.number, device, f"answered {sent.accepted}, never delivered")
            elif sent.call_id in self._seen.expired or self._death(sent.accepted_at + sent.expires):
                self._verdict.expired += 1
            else:
                self._accuse("silent", sent.number, device, "expired, and no event told it")

    def _copies(self, device: str, number: int) -> list[Arrival]:
        return self._seen.arrivals.get(device, {}).get(number, [])

    def _unseen(self, sent: Sent, device: str) -> bool:
        """Another device took it by a node that was cut off from Redis when this one registered for the first
        time ever. What was answered 202 has no such excuse: who is new gets all that is stored."""
        taken = next(one for one in sent.attempts if 200 <= one.status < 300)
        _, registered = self._seen.registered[device]
        return taken.status == 200 and any(
            fault.kind in CUTS
            and fault.node == taken.node
            and fault.start <= registered
            and taken.ended <= fault.end + AFTER
            for fault in self._seen.faults
        )

    def _not_kept(self, sent: Sent) -> bool:
        """A device took it, so the sender heard 200; a node told that it could not store it for the rest, as
        Redis was away or it was cut off from it. What was answered 202 has no such excuse."""
        start, end = sent.attempts[0].at, sent.accepted_at
        return (
            sent.accepted == 200
            and sent.call_id in self._seen.not_kept
            and any(
                fault.kind in NO_STORE and fault.start <= end and fault.end + AFTER >= start
                for fault in self._seen.faults
            )
        )

    def _death(self, expiry: float) -> bool:
        """Whether what a node had to tell of an expiry may have died with it, or been cut off."""
        return any(
            fault.start <= expiry + TELLING and fault.end + AFTER >= expiry for fault in self._seen.faults
        )

    def _repeats(self, arrivals: list[Arrival]) -> None:
        attempts = self._seen.sent[arrivals[0].number].attempts
        for turn, repeat in enumerate(arrivals[1:], 1):
            excuses = [(earlier, self._excuse(earlier, repeat)) for earlier in arrivals[:turn]]
            taken = [earlier for earlier, excuse in excuses if not excuse]
            if not taken:
                self._explained(excuses[-1][1])
            elif sum(one.at <= repeat.at for one in attempts) > len(taken):
                self._explained("the sender repeated it")
            else:
                text = f"came again as {_told(repeat)}, though it had been taken: {_told(taken[-1])}"
                self._accuse("doubled", repeat.number, repeat.device, text)

    def _explained(self, excuse: str) -> None:
        if excuse.startswith("answered"):
            self._verdict.retried += 1
        else:
            self._verdict.repeated[excuse] += 1

    def _excuse(self, earlier: Arrival, repeat: Arrival) -> str:
        """Why the node cannot have known that the device has it; "" if it must have."""
        if earlier.dropped:
            return "the answer was dropped"
        if earlier.status and earlier.status // 100 != 2:
            return f"answered {earlier.status}"
        until = (earlier.answered or repeat.at) + READ
        if earlier.session.ended <= until:
            return "the connection ended before the answer was read"
        for fault in self._seen.faults:
            if fault.start <= until and fault.end + AFTER >= earlier.at and _concerns(fault, earlier):
                return f"{fault.kind} at that time"
            if fault.kind == "stop" and fault.node in repeat.nodes and _held_back(fault, earlier, repeat):
                return "a stopped node held it back"
        if not self._strict and _late(earlier, repeat):
            return "the answer came late"
        return ""

    def _order(self) -> None:
        """Accepted messages of one sender reach each device in the order of sending. What counts is the
        first copy that it did not refuse."""
        for device, copies in self._seen.arrivals.items():
            last: dict[tuple[str, str], tuple[int, Arrival]] = {}
            reached = (next((one for one in c if one.status // 100 in (0, 2)), None) for c in copies.values())
            first = sorted((one for one in reached if one is not None), key=lambda one: one.at)
            for arrival in first:
                sent = self._seen.sent[arrival.number]
                pair = (sent.sender, sent.recipient)
                if not sent.accepted:
                    continue
                before = last.get(pair)
                if before is not None and before[0] > sent.seq:
                    text = f"{_told(arrival)} came after number {before[1].number}, {_told(before[1])}"
                    self._accuse("misordered", sent.number, device, text)
                else:
                    last[pair] = (sent.seq, arrival)


def _concerns(fault: Fault, arrival: Arrival) -> bool:
    return fault.kind in STORES or fault.node in arrival.nodes


def _held_back(fault: Fault, earlier: Arrival, repeat: Arrival) -> bool:
    """The other copy was on its way before, and went on when the node did."""
    return fault.start <= earlier.at <= fault.end <= repeat.at <= fault.end + AFTER


def _late(earlier: Arrival, repeat: Arrival) -> bool:
    """Another node than the one that waited for the answer asked again, before it came."""
    open_still = not earlier.answered or earlier.answered > repeat.at
    return open_still and repeat.at - earlier.at >= MOMENT and earlier.nodes[-1:] != repeat.nodes[-1:]


def _told(arrival: Arrival) -> str:
    answer = f"answered {arrival.status} at {arrival.answered:.3f}" if arrival.status else "not answered"
    way = " > ".join(reversed(arrival.nodes))
    return f"a copy by {way} at {arrival.at:.3f}, {answer}{', dropped' if arrival.dropped else ''}"
