"""Everything that happened, as phones, senders and faults saw it. Times are `time.monotonic()`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Attempt:
    """A sender asked a node: `status` 0 is no answer (yet)."""

    node: str
    at: float
    status: int = 0
    ended: float = 0.0


@dataclass(slots=True)
class Sent:
    """One message. `seq` counts the messages of one sender to one recipient."""

    number: int
    sender: str
    recipient: str
    seq: int
    call_id: str
    expires: float = 0.0  # seconds; 0 for the node's own
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """200 or 202, or 0: not accepted."""
        return next((one.status for one in self.attempts if 200 <= one.status < 300), 0)

    @property
    def accepted_at(self) -> float:
        return next((one.ended for one in self.attempts if 200 <= one.status < 300), 0.0)


@dataclass(slots=True)
class Session:
    """One connection (or UDP socket) of a device at one node."""

    device: str
    node: str
    transport: str
    started: float
    ended: float = float("inf")


@dataclass(slots=True)
class Arrival:
    """One copy of a message at a device: what is repeated on the wire is one arrival. `nodes` are those in
    its Vias; `status` 0: the device never answered, and `dropped` says that this was on purpose."""

    device: str
    number: int
    branch: str
    nodes: tuple[str, ...]
    at: float
    session: Session
    status: int = 0
    answered: float = 0.0
    dropped: bool = False


@dataclass(slots=True)
class Fault:
    """What was done, to which node ("" for a store), from when until all was well again."""

    kind: str
    node: str
    start: float
    end: float = float("inf")


class Chronicle:
    """The notebook of one run."""

    def __init__(self) -> None:
        self.sent: dict[int, Sent] = {}
        self.arrivals: dict[str, dict[int, list[Arrival]]] = {}  # by device and message
        self.registered: dict[str, tuple[str, float]] = {}  # device: recipient, first 200 of a REGISTER
        self.sessions: list[Session] = []
        self.faults: list[Fault] = []
        self.expired: dict[str, tuple[str, ...]] = {}  # Call-ID: devices, as the nodes' events name them
        self.not_kept: set[str] = set()  # Call-IDs that a node told it could not store for the rest
        self.strays: list[str] = []  # what reached a phone that it was not for
        self.events: dict[str, list[str]] = {}  # Call-ID: lines of the nodes' event logs

    def register(self, device: str, recipient: str, at: float) -> None:
        """A REGISTER was answered 200."""
        self.registered.setdefault(device, (recipient, at))

    def arrive(
        self, number: int, branch: str, nodes: tuple[str, ...], at: float, session: Session
    ) -> tuple[Arrival, bool]:
        """A request came; and whether it is new, not a retransmission."""
        copies = self.arrivals.setdefault(session.device, {}).setdefault(number, [])
        for one in copies:
            if one.branch == branch:
                return one, False
        copies.append(Arrival(session.device, number, branch, nodes, at, session))
        return copies[-1], True

    def devices_of(self, sent: Sent) -> list[str]:
        """The devices that the recipient had when the message was first sent."""
        start = sent.attempts[0].at
        return [
            device
            for device, (recipient, at) in self.registered.items()
            if recipient == sent.recipient and at < start
        ]
