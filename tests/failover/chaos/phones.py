"""The recipients' devices: each comes, answers mostly, vanishes without a word, and comes back elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid

from tests.failover.chaos.chronicle import Arrival, Chronicle, Session
from tests.failover.chaos.plan import Plan
from tests.failover.chaos.wire import Wire, compose, connect, response
from tests.failover.chaos.world import World
from tests.phones.program import DOMAIN
from tests.phones.sip_message import Sip

REGISTERING = 3.0  # s that a phone waits for the answer to a REGISTER
AWAY, THERE = (0.2, 4.0), (0.5, 6.0)
DROPS, BUSY, SLOW = 0.05, 0.06, 0.1  # shares of the copies
DELAYS = (0.3, 3.0)


class Device:
    """One phone of one recipient, on an address of its own, so that no other phone ever gets its port."""

    def __init__(self, number: int, user: str, name: str, world: World, notes: Chronicle, plan: Plan) -> None:
        self.name = name
        self.user = user
        self.calm = asyncio.Event()  # when set: come online, stay, and always answer
        self.registered = asyncio.Event()  # for the first time
        self._world = world
        self._notes = notes
        self._plan = plan
        self._draw = random.Random(f"{plan.seed} {name}")
        self._local = f"127.{10 + number // 60_000}.{number // 250 % 250}.{number % 250 + 1}"
        self._instance = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'{plan.seed} {name}')}"
        self._call_id = f"register-{name}".replace("/", "-")
        self._cseq = 0
        self._asked: asyncio.Future[int] | None = None
        self._wire: Wire | None = None
        self._session: Session | None = None
        self._gone = asyncio.Event()

    async def live(self, after: float = 0.0) -> None:
        """Until cancelled. `after` seconds it is switched on for the first time."""
        try:
            await asyncio.sleep(after)
            while True:
                if await self._come():
                    await self._stay()
                self._leave()
                if not self.calm.is_set():
                    away = AWAY if self._plan.restless else (0.1, 0.3)
                    await self._calm_or(self._draw.uniform(*away))
                else:
                    await asyncio.sleep(0.05)
        finally:
            self._leave()

    async def _calm_or(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.calm.wait(), seconds)

    async def _come(self) -> bool:
        living = self._world.living()
        if not living:
            return False
        place, transport = self._draw.choice(living), self._draw.choice(("udp", "tcp"))
        self._gone = asyncio.Event()
        try:
            self._wire = await connect(
                transport, self._world.address(place.name), self._local, self._received, self._lost
            )
        except OSError:
            return False
        self._session = Session(self.name, place.name, transport, time.monotonic())
        self._notes.sessions.append(self._session)
        if not await self._register():
            return False
        self._notes.register(self.name, self.user, time.monotonic())
        self.registered.set()
        return True

    async def _register(self) -> bool:
        assert self._wire is not None
        self._cseq += 1
        host, port = self._wire.local
        uri, transport = f"sip:{self.user}@{DOMAIN}", self._wire.name
        contact = f'<sip:{self.user}@{host}:{port};transport={transport}>;+sip.instance="<{self._instance}>"'
        rows = [
            ("Via", f"SIP/2.0/{transport.upper()} {host}:{port};branch=z9hG4bK{uuid.uuid4().hex};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<{uri}>;tag={uuid.uuid4().hex[:8]}"),
            ("To", f"<{uri}>"),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            ("Contact", contact),
            ("Supported", "path, outbound, gruu"),
            ("Expires", "900"),
        ]
        self._asked = asyncio.get_running_loop().create_future()
        self._wire.send(compose(f"REGISTER sip:{DOMAIN} SIP/2.0", rows))
        try:
            return await asyncio.wait_for(self._asked, REGISTERING) == 200
        except TimeoutError:
            return False
        finally:
            self._asked = None

    async def _stay(self) -> None:
        """Until its connection breaks, or it has had enough."""
        if not self.calm.is_set() and self._plan.restless:
            waits = {asyncio.ensure_future(self._gone.wait()), asyncio.ensure_future(self.calm.wait())}
            try:
                seconds = self._draw.uniform(*THERE)
                await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
            if not self.calm.is_set() or self._gone.is_set():
                return
        await self._gone.wait()

    def _leave(self) -> None:
        if self._session is not None and self._wire is not None:
            self._wire.close(abrupt=self._draw.random() < 0.5)
            self._session.ended = min(self._session.ended, time.monotonic())
            self._session = self._wire = None

    def _lost(self) -> None:
        """The node closed the connection, or died."""
        if self._session is not None:
            self._session.ended = time.monotonic()
        self._gone.set()
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(0)

    def _received(self, message: Sip) -> None:
        if not message.is_request:
            ours = message.first("CSeq") == f"{self._cseq} REGISTER" and message.status >= 200
            if ours and self._asked is not None and not self._asked.done():
                self._asked.set_result(message.status)
        elif message.method == "MESSAGE":
            self._message(message)

    def _message(self, request: Sip) -> None:
        assert self._session is not None and self._wire is not None
        number = int(request.body.split()[0])
        if f":{self.user}@" not in request.first("To"):
            self._notes.strays.append(f"{self.name} got number {number}, which is for {request.first('To')}")
            return
        nodes = tuple(name for via in request.values("Via") if (name := self._world.node_at(via)))
        arrival, new = self._notes.arrive(number, request.branch, nodes, time.monotonic(), self._session)
        if not new:
            if arrival.status:
                self._wire.send(response(request, arrival.status, arrival.device[-1]), self._wire.source)
            return
        source = self._wire.source
        lot = 1.0 if self._plan.faithful or self.calm.is_set() else self._draw.random()
        if lot < DROPS:
            arrival.dropped = True
        elif lot < DROPS + BUSY:
            self._answer(request, source, arrival, 503)
        elif lot < DROPS + BUSY + SLOW:
            delay = self._draw.uniform(*DELAYS)
            asyncio.get_running_loop().call_later(delay, self._answer, request, source, arrival, 200)
        else:
            self._answer(request, source, arrival, 200)

    def _answer(self, request: Sip, source: tuple[str, int], arrival: Arrival, status: int) -> None:
        """On the connection by which the request came, if that still exists."""
        if self._wire is None or self._session is not arrival.session or not self._wire.open:
            return
        arrival.status, arrival.answered = status, time.monotonic()
        self._wire.send(response(request, status, arrival.device[-1]), source)


def make_devices(world: World, notes: Chronicle, plan: Plan) -> list[Device]:
    """One or two for each recipient."""
    draw = random.Random(f"{plan.seed} devices")
    made: list[Device] = []
    for recipient in range(plan.recipients):
        for number in range(draw.choice((1, 2))):
            user = f"user{recipient}"
            made.append(Device(len(made), user, f"{user}/{number}", world, notes, plan))
    return made
