"""Two nodes on one set of embedded stores, as `clarion serve` and `clarion serve --join` make them."""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from msgspec.structs import replace

from cluster.push.settings import FcmApp, PushSettings
from node.settings import NodeSettings
from node.sip.errors import ParseError
from node.transport.flow import Flow
from node.transport.receiver import Receiver
from ops.assembly import Node, build
from ops.data_folder import DataFolder, free_port
from ops.demo.push_service import PROJECT, PushService
from ops.embedded import EmbeddedStores
from ops.event_log import EventLog
from ops.settings import Settings

DOMAIN = "demo.example"
NODES = ("node-1", "node-2")
Tap = Callable[[str, bytes, Flow], None]  # name of the node, the message, the flow it came by

log = logging.getLogger("clarion.demo")


class Tapped:
    """A receiver that shows every message before it takes it."""

    def __init__(self, name: str, receiver: Receiver, tap: Tap) -> None:
        self._name = name
        self._receiver = receiver
        self._tap = tap

    def received(self, raw: bytes, flow: Flow) -> None:
        self._tap(self._name, raw, flow)
        self._receiver.received(raw, flow)

    def broken(self, error: ParseError, flow: Flow) -> None:
        self._receiver.broken(error, flow)


class Cluster:
    """Stores and nodes; whoever closes the stack ends them, last first."""

    def __init__(
        self, folder: Path, push: PushService, tap: Tap, emit: Callable[[str, object], None]
    ) -> None:
        """`emit` is told the events of each node by its name."""
        self.ports: dict[str, int] = {}
        self.nodes: dict[str, Node] = {}
        self._folder = folder
        self._push = push
        self._tap = tap
        self._emit = emit

    async def start(self, stack: AsyncExitStack) -> None:
        """Starts all. Raises StartError."""
        folder = DataFolder(self._folder / "stores")
        stack.callback(folder.release)
        stores = EmbeddedStores(Settings(), folder)
        stack.push_async_callback(stores.stop)
        await stores.start()
        for name in NODES:
            await self._start_node(name, stores.settings, stack)

    async def _start_node(self, name: str, stores: Settings, stack: AsyncExitStack) -> None:
        port, internal = free_port(), free_port()
        folder = self._folder / name
        folder.mkdir()
        settings = replace(
            stores,
            node=NodeSettings(
                name=name,
                domains=(DOMAIN,),
                listen=(f"udp:127.0.0.1:{port}", f"tcp:127.0.0.1:{port}"),
                internal=f"tcp:127.0.0.1:{internal}",
                data=str(folder),
            ),
            push=PushSettings(ca=str(self._push.ca)),
            fcm={
                PROJECT: FcmApp(
                    service_account=str(self._push.service_account(name)), server=self._push.url(name)
                )
            },
        )
        events = _Events(name, self._emit)
        stack.push_async_callback(events.close)
        node = await build(settings, folder, events, tap=lambda receiver: Tapped(name, receiver, self._tap))
        stack.push_async_callback(node.stop)
        await node.start()
        self.ports[name], self.nodes[name] = port, node


class _Events(EventLog):
    """An event log that shows each event to somebody else, and writes none."""

    def __init__(self, name: str, tell: Callable[[str, object], None]) -> None:
        super().__init__("", name)
        self._name = name
        self._tell = tell

    def emit(self, event: object) -> None:
        super().emit(event)
        self._tell(self._name, event)
