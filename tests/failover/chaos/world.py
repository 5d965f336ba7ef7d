"""Stores, crossings and three nodes: what the phones and senders live in."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import signal
import tempfile
from pathlib import Path

from tests.failover.chaos.crossing import Crossing
from tests.failover.chaos.plan import node_options
from tests.failover.chaos.shared import MASTER, Shared
from tests.phones.certificates import Certificates, make_certificates
from tests.phones.clarion import ClarionNode
from tests.phones.program import LOOPBACK

NAMES = ("a", "b", "c")


class Place:
    """One node, and its own way to each store."""

    def __init__(self, name: str, shared: Shared) -> None:
        self.name = name
        self.alive = False  # as phones and senders know: they do not go to a node that is down
        self.redis = {server.port: Crossing(server.port) for server in shared.servers}
        self.sentinels = [Crossing(sentinel.port) for sentinel in shared.sentinels]
        self.etcd = Crossing(shared.etcd.client_port)
        self.node: ClarionNode

    @property
    def to_redis(self) -> list[Crossing]:
        return [*self.redis.values(), *self.sentinels]

    async def open(self) -> None:
        """The crossings. The ports have five digits, the real ones and these."""
        for way in (*self.to_redis, self.etcd):
            await way.open()
        words = {b"\r\n%d\r\n" % real: b"\r\n%d\r\n" % way.port for real, way in self.redis.items()}
        for sentinel in self.sentinels:
            sentinel.rewrite = words

    async def close(self) -> None:
        for way in (*self.to_redis, self.etcd):
            await way.close()

    def start(self, certificates: Certificates, events: Path) -> None:
        """Blocks until the node is ready."""
        sentinels = ",".join(f"127.0.0.1:{way.port}" for way in self.sentinels)
        options = node_options() | {"log": {"events": str(events), "level": "info"}}
        self.node = ClarionNode(
            certificates,
            name=self.name,
            redis=f"sentinel://{sentinels}/{MASTER}",
            etcd=[f"http://127.0.0.1:{self.etcd.port}"],
            options=options,
        )
        self.alive = True

    def kill(self) -> None:
        self.alive = False
        self.node.kill()

    def again(self) -> None:
        """Blocks until the node is ready."""
        self.node.start()
        self.alive = True

    def freeze(self) -> None:
        self.node.program.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.node.program.signal(signal.SIGCONT)


class World:
    """An asynchronous context: all is up inside."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="clarion-chaos-"))
        self.shared = Shared()
        self.places = {name: Place(name, self.shared) for name in NAMES}
        self._ports: dict[int, str] = {}

    async def __aenter__(self) -> World:
        try:
            await asyncio.to_thread(self.shared.start)
            certificates = await asyncio.to_thread(make_certificates, self.folder / "tls")
            for place in self.places.values():
                await place.open()
            for place in self.places.values():  # one after the other: each draws free ports
                await asyncio.to_thread(place.start, certificates, self.events_of(place.name))
        except BaseException:
            await self.__aexit__()
            raise
        for name, place in self.places.items():
            for port in (place.node.sip, place.node.tls, place.node.internal):
                self._ports[port] = name
        return self

    async def __aexit__(self, *_: object) -> None:
        nodes = [place.node for place in self.places.values() if hasattr(place, "node")]
        await asyncio.gather(*(asyncio.to_thread(node.close) for node in nodes))
        for place in self.places.values():
            await place.close()
        await asyncio.to_thread(self.shared.close)
        shutil.rmtree(self.folder, ignore_errors=True)

    def events_of(self, name: str) -> Path:
        """File of a node's events."""
        return self.folder / f"events-{name}.jsonl"

    def living(self) -> list[Place]:
        return [place for place in self.places.values() if place.alive]

    def address(self, name: str) -> tuple[str, int]:
        return LOOPBACK, self.places[name].node.sip

    def node_at(self, via: str) -> str:
        """Name of the node that wrote a Via; "" for a sender."""
        found = re.search(r":(\d+)", via)
        return self._ports.get(int(found[1]), "") if found else ""

    async def collector(self) -> str:
        """Name of the node that collects garbage now, "" for none that is known."""
        return await asyncio.to_thread(self._collector)

    def _collector(self) -> str:
        def word(text: str) -> str:
            return base64.b64encode(text.encode()).decode()

        answer = self.shared.etcd.post(
            "/v3/kv/range", {"key": word("/clarion/"), "range_end": word("/clarion0")}
        )
        for pair in answer.get("kvs", []):
            key = base64.b64decode(pair["key"]).decode()
            value = base64.b64decode(pair.get("value", "")).decode(errors="replace")
            if ("collect" in key or "storage" in key) and "/nodes/" not in key:
                found = re.search(r'"node": ?"(\w+)"', value)
                return found[1] if found else ""
        return ""

    def read_events(self) -> list[tuple[str, dict[str, object]]]:
        """Every event of every node: its line and its fields, oldest first."""
        found = []
        for name in NAMES:
            path = self.events_of(name)
            for line in path.read_text().splitlines() if path.exists() else ():
                try:
                    found.append((line, json.loads(line)))
                except ValueError:  # the node was killed while it wrote
                    continue
        return sorted(found, key=lambda one: one[1]["at"])  # type: ignore[arg-type,return-value]
