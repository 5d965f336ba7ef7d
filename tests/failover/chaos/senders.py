"""Who sends: each sender writes to each recipient one message after the other, and asks again until one node
has taken it."""

from __future__ import annotations

import asyncio
import random
import time
import uuid

from tests.failover.chaos.chronicle import Attempt, Chronicle, Sent
from tests.failover.chaos.plan import ACCEPT, Plan
from tests.failover.chaos.wire import Wire, compose, connect
from tests.failover.chaos.world import World
from tests.phones.program import DOMAIN, LOOPBACK
from tests.phones.sip_message import Sip

PATIENCE = ACCEPT + 3.0  # s until a sender goes to another node
PERSISTENCE = 40.0  # s that it goes on asking
IMPATIENT = 0.03  # share of the messages that are given up after the first refusal
EXPIRES = (2, 5)


class Senders:
    """All senders, on one UDP socket and one connection to each node."""

    def __init__(self, world: World, notes: Chronicle, plan: Plan) -> None:
        self._world = world
        self._notes = notes
        self._plan = plan
        self._asked: dict[str, asyncio.Future[int]] = {}  # by branch
        self._wires: dict[tuple[str, str], Wire] = {}
        self._wire_lock = asyncio.Lock()

    async def run(self, seconds: float) -> None:
        """Sends all messages of the plan, spread over so many seconds; returns when all are answered."""
        draw = random.Random(f"{self._plan.seed} senders")
        pairs: dict[tuple[str, str], list[tuple[float, int, int]]] = {}
        for number in range(1, self._plan.messages + 1):
            pair = (
                f"sender{draw.randrange(self._plan.senders)}",
                f"user{draw.randrange(self._plan.recipients)}",
            )
            expires = draw.randint(*EXPIRES) if draw.random() < self._plan.expiring else 0
            pairs.setdefault(pair, []).append((draw.uniform(0, seconds), number, expires))
        start = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                for pair, rows in pairs.items():
                    group.create_task(self._correspond(pair, sorted(rows), start))
        finally:
            for wire in self._wires.values():
                wire.close()

    async def _correspond(
        self, pair: tuple[str, str], rows: list[tuple[float, int, int]], start: float
    ) -> None:
        draw = random.Random(f"{self._plan.seed} {pair}")
        for seq, (at, number, expires) in enumerate(rows):
            await asyncio.sleep(start + at - time.monotonic())
            sent = Sent(number, *pair, seq, f"m{number}-{uuid.uuid4().hex[:12]}", expires)
            self._notes.sent[number] = sent
            await self._send(sent, draw)

    async def _send(self, sent: Sent, draw: random.Random) -> None:
        enough = time.monotonic() + (0 if draw.random() < IMPATIENT else PERSISTENCE)
        last = ""
        while not last or time.monotonic() < enough:
            living = [place.name for place in self._world.living()]
            others = [name for name in living if name != last] or living
            if not others:
                last = "nobody"
                await asyncio.sleep(0.2)
                continue
            last = draw.choice(others)
            status = await self._ask(sent, last, draw.choice(("udp", "tcp")))
            if 200 <= status < 300:
                return
            await asyncio.sleep(draw.uniform(0.3, 0.7))

    async def _ask(self, sent: Sent, name: str, transport: str) -> int:
        """One request to one node: its final status, 0 for none. Provisional answers count for nothing."""
        wire = await self._wire(name, transport)
        if wire is None:
            return 0
        attempt = Attempt(name, time.monotonic())
        sent.attempts.append(attempt)
        branch = f"z9hG4bK{uuid.uuid4().hex}"
        answer = self._asked[branch] = asyncio.get_running_loop().create_future()
        wire.send(_message(sent, wire, branch))
        try:
            attempt.status = await asyncio.wait_for(answer, PATIENCE)
        except TimeoutError:
            return 0
        finally:
            attempt.ended = time.monotonic()
            del self._asked[branch]
        return attempt.status

    async def _wire(self, name: str, transport: str) -> Wire | None:
        key = name, transport
        async with self._wire_lock:
            wire = self._wires.get(key)
            if wire is None or not wire.open:
                try:
                    wire = await connect(transport, self._world.address(name), LOOPBACK, self._received)
                except OSError:
                    return None
                self._wires[key] = wire
            return wire

    def _received(self, message: Sip) -> None:
        waiting = self._asked.get(message.branch)
        if message.status >= 200 and waiting is not None and not waiting.done():
            waiting.set_result(message.status)


def _message(sent: Sent, wire: Wire, branch: str) -> bytes:
    host, port = wire.local
    rows = [
        ("Via", f"SIP/2.0/{wire.name.upper()} {host}:{port};branch={branch};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:{sent.sender}@{DOMAIN}>;tag={sent.call_id[-8:]}"),
        ("To", f"<sip:{sent.recipient}@{DOMAIN}>"),
        ("Call-ID", sent.call_id),
        ("CSeq", "1 MESSAGE"),
        ("Content-Type", "text/plain"),
        *([("Expires", str(int(sent.expires)))] if sent.expires else []),
    ]
    body = f"{sent.number} is number {sent.seq} of {sent.sender} to {sent.recipient}".encode()
    return compose(f"MESSAGE sip:{sent.recipient}@{DOMAIN} SIP/2.0", rows, body)
