"""A store of messages in memory, nodes that deliver from it, and phones that answer when they are told to."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.events import Event
from cluster.location.binding import Binding
from cluster.location.record import Record
from cluster.messages.pending import ANYBODY, Claimed, Mark, Owed, Pending, Seeker
from cluster.messages.settings import MessagesSettings
from node.fork.branch import Branch
from node.fork.target import Target
from node.messages.drains import Drains
from node.messages.under_way import UnderWay
from node.transaction.timers import Timers

AOR = "bob@example.org"
START = 1000.0
DAY_MS = 86_400_000
PHONE, TABLET = "<urn:phone>", "<urn:tablet>"


class World:
    """The time, the stored messages of one user, and what is registered."""

    def __init__(self) -> None:
        self.now = START
        self.open: dict[str, set[str]] = {}  # message -> devices that are owed it
        self.kept: dict[str, Pending] = {}
        self.known: set[str] = set()
        self.bindings: dict[str, Binding] = {}
        self.fence = 0
        self.holder = ""
        self.until = 0.0
        self.asked_again = False
        self.away = False
        self.most = 1000  # messages in one reply
        self.calls: list[str] = []
        self.marks: list[Mark] = []
        self.told: list[int] = []  # how many marks came together
        self.notes: list[Mark] = []  # of tries in vain
        self.nodes: list[Node] = []

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def keep(self, *names: str, devices: Sequence[str] = (PHONE,), rank: int = 2, life: int = DAY_MS) -> None:
        """Messages that the devices are owed."""
        for name in names:
            request = f"MESSAGE sip:{AOR} SIP/2.0\r\nCall-ID: {name}\r\n\r\n".encode()
            now = self.now_ms()
            self.kept[name] = Pending(name, AOR, rank, now, now + life, request, call_id=name)
            self.open[name] = set(devices)
            self.known.update(devices)

    def register(self, device: str = PHONE, flow: str = "", instance: bool = True, **more: Any) -> None:
        """A registration, of which nobody is told yet."""
        now = self.now_ms()
        fields = {"uri": f"sip:{device.strip('<>')}@host", "flow": flow, "instance": device * instance} | more
        self.bindings[device] = Binding(
            key=device, registered_at=now, expires_at=now + DAY_MS, message_expires_at=now + DAY_MS, **fields
        )

    @property
    def record(self) -> Record:
        """What the location service says."""
        messages = {device: any(device in owed for owed in self.open.values()) for device in self.known}
        return Record(AOR, tuple(self.bindings.values()), known=True, messages=messages if self.kept else {})

    def advance(self, seconds: float) -> None:
        """Time passes for all nodes."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.05)
            for node in self.nodes:
                node.timers.advance(self.now)
            self.settle()

    def settle(self) -> None:
        """All replies of the store arrive."""
        while any(node.replies and not node.silent for node in self.nodes):
            for node in self.nodes:
                if not node.silent:
                    node.flush()

    def take(self, seekers: Sequence[Seeker], count: int) -> tuple[tuple[Owed, ...], bool]:
        """What they are owed, in order."""
        found: list[Owed] = []
        more = False
        for seeker in seekers:
            if seeker.named and seeker.device not in self.known:
                self.known.add(seeker.device)
                for devices in self.open.values():
                    devices.add(seeker.device)
            mine = [p for p in self.kept.values() if {seeker.device, ANYBODY} & self.open[p.id]]
            mine.sort(key=lambda pending: pending.rank)
            found += [Owed(pending, seeker.device) for pending in mine[:count]]
            more = more or len(mine) > count
        return tuple(found[: self.most]), more or len(found) > self.most


class Node:
    """One node's drains, its view of the store, and the phones it asks."""

    def __init__(self, world: World, name: str = "a", **settings: Any) -> None:
        self.world = world
        self.name = name
        self.replies: list[Callable[[], None]] = []
        self.silent = False  # replies of the store do not arrive
        self.asked: list[Branch] = []
        self.gone: set[str] = set()  # flows, as far as this node knows
        self.broken: set[str] = set()  # flows that turn out to be gone
        self.events: list[Event] = []
        self.cache = True
        self.fetches = 0
        self.timers = Timers()
        self.under_way = UnderWay()
        self.drains = Drains(
            self,
            self,
            self.target,
            lambda target: target.asleep or target.flow_token in self.gone,
            self.ask,
            lambda hop: None,
            self.timers,
            lambda: world.now,
            self.spawn,
            self.under_way,
            self.events.append,
            MessagesSettings(**settings),
        )
        world.nodes.append(self)

    # phones

    def target(self, binding: Binding) -> Target:
        return Target(binding.uri.encode(), flow_token=binding.flow, binding=binding)

    def ask(self, branch: Branch, now: float) -> None:
        if branch.target.flow_token in self.broken:
            branch.failed(430, "gone", now)
        else:
            self.asked.append(branch)

    @property
    def copies(self) -> list[str]:
        """The messages that have been sent, in order."""
        return [text_of(branch) for branch in self.asked]

    def answer(self, status: int = 200, retry_after: str = "", at: int = -1) -> str:
        """A phone answers the latest (or another) request."""
        branch = self.asked[at]
        branch.response(Response(status, retry_after), self.world.now)  # type: ignore[arg-type]
        self.world.settle()
        return text_of(branch)

    def fail(self, status: int) -> None:
        """The latest request got no answer."""
        self.asked[-1].failed(status, "", self.world.now)
        self.world.settle()

    # the node

    def look(self) -> None:
        self.drains.look(AOR, self.world.now)
        self.world.settle()

    def registered(self, *devices: str) -> None:
        """It has just taken a REGISTER of these."""
        self.drains.registered(AOR, self.world.record, devices, self.world.now)
        self.world.settle()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            work.send(None)
        except StopIteration:
            return
        raise AssertionError("nothing here has to be waited for")

    def cached(self, aor: str) -> Record | None:
        return self.world.record if self.cache else None

    async def fetch(self, aor: str) -> Record:
        self.fetches += 1
        if self.world.away:
            raise StoreUnavailable("away")
        return self.world.record

    def now_ms(self) -> int:
        return self.world.now_ms()

    # the store

    def flush(self) -> None:
        replies, self.replies = self.replies, []
        for reply in replies:
            reply()

    def _reply(self, done: Callable[[Any], None], value: Any) -> None:
        if self.world.away:
            done(StoreUnavailable("away"))
        else:
            self.replies.append(lambda: done(value))

    def store(self, *_: Any) -> None:
        raise AssertionError("a drain stores nothing")

    def claim(
        self, aor: str, seekers: Sequence[Seeker], count: int, done: Callable[[Any], None], fence: int = 0
    ) -> None:
        world = self.world
        if world.away:
            done(StoreUnavailable("away"))
            return
        world.calls.append(f"{self.name}:{'take' if fence else 'claim'}")
        claimed = Claimed()
        if fence:
            held = fence == world.fence and world.holder == self.name
        else:
            held = not world.holder or world.now >= world.until
            if held:
                world.fence += 1
                world.holder = self.name
                world.asked_again = False
            else:
                world.asked_again = True
                claimed = Claimed(0, int(1000 * (world.until - world.now)))
        if held:
            world.until = world.now + self.drains.claim_time
            claimed = Claimed(world.fence, 0, *world.take(seekers, count))
        self._reply(done, claimed)

    def extend(self, aor: str, fence: int, done: Callable[[Any], None]) -> None:
        self.world.calls.append(f"{self.name}:extend")
        held = fence == self.world.fence and self.world.holder == self.name
        if held and not self.world.away:
            self.world.until = self.world.now + self.drains.claim_time
        self._reply(done, held)

    def release(self, aor: str, fence: int, done: Callable[[Any], None]) -> None:
        self.world.calls.append(f"{self.name}:release")
        again = False
        if fence == self.world.fence and self.world.holder == self.name and not self.world.away:
            self.world.holder = ""
            again = self.world.asked_again
        self._reply(done, again)

    def confirm(self, aor: str, marks: Sequence[Mark], done: Callable[[Any], None]) -> None:
        if not self.world.away:
            self.world.told.append(len(marks))
            for mark in marks:
                if mark.status in (408, 430, 503):
                    self.world.notes.append(mark)
                    continue
                self.world.marks.append(mark)
                devices = self.world.open.get(mark.id, set())
                devices -= {mark.device, ANYBODY}
                if not devices:
                    self.world.kept.pop(mark.id, None)
                    self.world.open.pop(mark.id, None)
        self._reply(done, None)


class Response:
    """As much of a response as a drain looks at."""

    def __init__(self, status: int, retry_after: str = "") -> None:
        self.status = status
        self._retry_after = retry_after.encode() or None

    def first(self, name: str) -> bytes | None:
        return self._retry_after if name == "retry-after" else None


def text_of(branch: Branch) -> str:
    """The name of the message that a branch carries."""
    raw = branch.context.request.message.forward(None, b"Via: x", 70, b"", 0)
    return raw.split(b"Call-ID: ")[1].split(b"\r\n")[0].decode()
