"""The two scenarios of `clarion demo`: a call to a phone that is awake, and one to a phone that sleeps."""

import asyncio
import contextlib
import secrets
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import uvloop

from node.sip.codec import Message, parse
from node.sip.errors import ParseError
from node.transport.flow import Flow
from ops.demo.call import Callee, Caller
from ops.demo.cluster import DOMAIN, NODES, Cluster
from ops.demo.ladder import Ladder
from ops.demo.phone import PATIENCE, DidNotHappen, Phone
from ops.demo.push_service import PROJECT, PushService
from ops.errors import StartError
from ops.log import start_log

LIMIT = 30.0  # s for everything
COLUMNS = ("alice", *NODES, "push service", "bob")
AWAKE = "1. Bob's phone is awake: a call from alice at node-1 to bob at node-2."
ASLEEP = "2. Bob's phone sleeps: its connection is cut, a push wakes it, and it rings at the other node."


def run() -> int:
    """Plays both scenarios and prints them; returns the exit code."""
    start_log("error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_bounded())


async def _bounded() -> int:
    """The demo within its time, ended by Ctrl-C too; says how it went."""
    loop = asyncio.get_running_loop()
    playing = asyncio.create_task(_played())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, playing.cancel)
    try:
        async with asyncio.timeout(LIMIT):
            seconds = await playing
    except (DidNotHappen, StartError) as error:
        click.echo(f"\nThis did not happen: {error}.")
        return 1
    except TimeoutError:
        click.echo(f"\nThis did not happen: the end, within {LIMIT:.0f} s.")
        return 1
    except asyncio.CancelledError:
        click.echo("\nInterrupted; everything that was started has ended.")
        return 1
    click.echo(
        "\nBoth calls were made: bob's phone rang at once while it was awake; asleep, it was pushed "
        f"{1000 * seconds:.0f} ms after alice called, came back at the other node, rang and answered."
    )
    return 0


async def _played() -> float:
    """Both scenarios; returns the seconds from the second INVITE to the push."""
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="clarion-demo-", ignore_cleanup_errors=True)
            )
        )
        stage = Stage(folder)
        click.echo("Starting Redis, etcd, two nodes, a push service and two phones ...")
        await stage.open(stack)
        await stage.awake()
        return await stage.asleep()


class Stage:
    """Who takes part, and what they do."""

    def __init__(self, folder: Path, write: Callable[[str], None] = click.echo) -> None:
        self.ladder = Ladder(COLUMNS, write)
        self.showing = False
        self.push = PushService(
            folder,
            list(NODES),
            lambda node, text: self._arrow(node, "push service", text),
            lambda node, text: self._arrow("push service", node, text),
            self._pushed,
        )
        self.cluster = Cluster(folder, self.push, self._arrived_at_node, lambda *_: None)
        self.alice = Phone("alice", DOMAIN, "udp", self._arrived_at_phone)
        self.bob = Phone("bob", DOMAIN, "tcp", self._arrived_at_phone)
        self._homes: dict[str, str] = {}  # phone -> node that it is connected to
        self.pushed: dict[str, float] = {}  # Call-ID -> when its push arrived
        self._pushes = asyncio.Event()

    async def open(self, stack: AsyncExitStack) -> None:
        """Starts all; the stack ends it. Raises StartError."""
        await self.push.start()
        stack.push_async_callback(self.push.stop)
        await self.cluster.start(stack)
        stack.callback(self.alice.cut)
        stack.callback(self.bob.cut)
        token = secrets.token_urlsafe(24)
        self.push.phones.add(token)
        # awake, it has a second to answer before it is pushed; with its connection gone it is pushed at once
        self.bob.push = f";pn-provider=fcm;pn-param={PROJECT};pn-prid={token};pn-timeout=1"
        await self._connect(self.alice, "node-1")
        await self._connect(self.bob, "node-2")

    async def awake(self) -> None:
        """Scenario 1. Raises DidNotHappen."""
        with self._shown(AWAKE):
            await self.alice.register()
            await self.bob.register()
            calling = Caller(self.alice, self.bob.uri)
            called = await Callee.incoming(self.bob)
            called.ring()
            await calling.expect(180)
            await asyncio.gather(called.pick_up(), self._accept(calling))
            await asyncio.gather(calling.hang_up(), called.hung_up())

    async def asleep(self) -> float:
        """Scenario 2. Raises DidNotHappen. Returns the seconds from the INVITE to the push."""
        with self._shown(ASLEEP):
            self.bob.cut()
            self.ladder.note("bob", "his connection to node-2 is cut")
            loop = asyncio.get_running_loop()
            begun = loop.time()
            calling = Caller(self.alice, self.bob.uri)
            await calling.expect(110)
            waited = await self._push_of(calling.call_id) - begun
            await self._connect(self.bob, "node-1")
            await self.bob.register()
            called = await Callee.incoming(self.bob)
            called.ring()
            await calling.expect(180)
            await asyncio.gather(called.pick_up(), self._accept(calling))
            await asyncio.gather(called.hang_up(), calling.hung_up())
            return waited

    async def _accept(self, calling: Caller) -> None:
        await calling.expect(200)
        calling.acknowledge()

    async def _push_of(self, call_id: str) -> float:
        """When the push of this call arrived, and of no other. Raises DidNotHappen."""
        try:
            async with asyncio.timeout(PATIENCE):
                while call_id not in self.pushed:
                    self._pushes.clear()
                    await self._pushes.wait()
                return self.pushed[call_id]
        except TimeoutError:
            raise DidNotHappen("a push for the call arrived at the push service") from None

    async def _connect(self, phone: Phone, node: str) -> None:
        await phone.connect(self.cluster.ports[node])
        self._homes[phone.user] = node

    # what is seen

    @contextmanager
    def _shown(self, title: str) -> Iterator[None]:
        self.ladder.begin(title)
        self.showing = True
        try:
            yield
        finally:
            self.showing = False

    def _arrived_at_phone(self, phone: Phone, message: Message) -> None:
        self._arrow(self._homes[phone.user], phone.user, described(message))

    def _arrived_at_node(self, node: str, raw: bytes, flow: Flow) -> None:
        with contextlib.suppress(ParseError):
            self._arrow(self._source(node, flow), node, described(parse(raw)))

    def _source(self, node: str, flow: Flow) -> str:
        """Who sent what came by this flow: the other node, or the phone that has this port."""
        if flow.listener.internal:
            return next(name for name in NODES if name != node)
        return self.bob.user if flow.rport == self.bob.local[1] else self.alice.user

    def _pushed(self, token: str, message: dict[str, Any]) -> None:
        self._arrow("push service", "bob", "push")
        call_id = str(message.get("android", {}).get("data", {}).get("call-id", ""))
        self.pushed.setdefault(call_id, asyncio.get_running_loop().time())
        self._pushes.set()

    def _arrow(self, source: str, destination: str, label: str) -> None:
        if self.showing:
            self.ladder.arrow(source, destination, label)


def described(message: Message) -> str:
    """A message as the ladder shows it."""
    if message.is_request:
        return message.method
    if message.method == "INVITE":
        return f"{message.status} {message.reason}"
    return f"{message.status} ({message.method})"
