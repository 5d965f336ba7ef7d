"""Putting one node together: stores, membership, flow tokens, the proxy core and its transports.

    settings ─► LocationService ─┬─► Messages ─┬─► Collector
             ─► Members ─────────┼─► PushService ─► Proxy ◄─► Transports
             ─► FlowTokens ──────┘─────────────┘

`build` makes the parts; `Node` starts, drains and stops them in the order that loses nothing: the node joins
when its listeners are open, and leaves before they close. It dispatches pushes and collects only as a
member: it begins after it joined, and gives both back before it leaves.
"""

import asyncio
import hmac
import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cluster.collect.collector import Collector
from cluster.errors import BadAddress, NameTaken
from cluster.location.service import LocationService
from cluster.membership import Member, Members
from cluster.messages.service import Messages
from cluster.push.service import PushService
from node.proxy import Proxy
from node.registrar.static import StaticFile
from node.resolve.dns import SystemDns
from node.resolve.locator import Locator
from node.transport.address import TRANSPORTS, parse_listen, split_host
from node.transport.receiver import Receiver
from node.transport.tls_context import tls_contexts
from node.transport.token import FlowTokens
from node.transport.transports import Transports
from ops.child import Child
from ops.collecting import collecting, kept
from ops.credentials_watch import credentials_watch
from ops.device import device_shown
from ops.errors import NotPossible, StartError
from ops.event_log import EventLog
from ops.registrations import LIMIT, bindings_shown
from ops.rounds import Rounds
from ops.secret import flow_token_key
from ops.settings import Settings
from ops.static_registrations import static_registrations
from ops.status import counts, members_shown, push_shown
from ops.stored_messages import StoredMessages
from ops.version import version

ETCD_PATIENCE = 5.0  # s that a start waits for etcd

log = logging.getLogger("clarion.node")


class Node:
    """One running node: what `clarion serve` starts and the admin socket shows."""

    def __init__(
        self,
        settings: Settings,
        epoch: str,
        locations: LocationService,
        members: Members,
        proxy: Proxy,
        transports: Transports,
        dns: SystemDns,
        events: EventLog,
        children: Sequence[Child] = (),
        push: PushService | None = None,
        messages: Messages | None = None,
        collector: Collector | None = None,
    ) -> None:
        self.settings = settings
        self.epoch = epoch
        self.locations = locations
        self.members = members
        self.proxy = proxy
        self.transports = transports
        self.push = push
        self.messages = messages
        self.collector = collector
        self.stored = StoredMessages(messages, locations, proxy, events.emit) if messages else None
        self.ready = False
        self.draining = False
        self._dns = dns
        self._events = events
        self._children = children
        self._started = time.time()
        self._rounds: list[Rounds] = []  # over files that may change

    async def start(self) -> None:
        """Opens the listeners and joins. Raises StartError."""
        try:
            await self.transports.start()
            self.proxy.attach(self.transports)
            if not await self.members.join(self._member(), ETCD_PATIENCE):
                log.error("[etcd] endpoints: nobody answers; serving alone, and joining when etcd is back")
        except NameTaken as error:
            raise StartError(str(error)) from None
        except (OSError, ValueError) as error:
            raise StartError(f"[node] listen, internal: {error.args[-1]}") from None
        if self.messages is not None:
            await self.messages.start()
        if self.push is not None:
            await self.push.start()
            self._rounds.append(credentials_watch(self.push.catalogue, self._events.emit))
        if self.collector is not None:
            await self.collector.start()
        self.ready = True
        registrar = self.settings.registrar
        if registrar.static_file:
            file = StaticFile(
                registrar.static_file, registrar.static_refresh, self.proxy.identity, self.locations
            )
            self._rounds.append(static_registrations(file, registrar.static_refresh))
        for rounds in self._rounds:
            rounds.start()

    def reload(self) -> None:
        """Reads again what may have changed on disk (SIGHUP)."""
        if self.push is not None:
            self.push.reload()
        for rounds in self._rounds:
            rounds.again()

    async def drain(self, timeout: float) -> None:
        """Takes no new calls, tells the others so, and lets what runs end within `timeout` seconds."""
        self.ready, self.draining = False, True
        await self.members.set_draining()
        if self.collector is not None:
            await self.collector.drain()
        if self.push is not None:
            await self.push.drain()
        if not await self.proxy.drain(timeout):
            log.warning("requests still open after %.0f s are given up", timeout)

    async def stop(self) -> None:
        """Removes the membership, then closes everything. Also after a start that failed."""
        self.ready = False
        for rounds in self._rounds:
            await rounds.stop()
        if self.collector is not None:
            await self.collector.close()
        if self.push is not None:
            await self.push.close()
        await self.members.leave()
        await self.proxy.close()
        await self.transports.close()
        if self.messages is not None:
            await self.messages.close()
        await self.locations.close()
        await self._dns.close()

    def status(self) -> dict[str, Any]:
        """What `/status` shows."""
        node = self.settings.node
        push = push_shown(self.push)
        return {
            "node": {
                "name": node.name,
                "epoch": self.epoch,
                "version": version(),
                "pid": os.getpid(),
                "uptime": round(time.time() - self._started, 3),
                "draining": self.draining,
                "listen": [repr(listener) for listener in self.transports.listeners if not listener.internal],
                "internal": node.internal,
            },
            "members": members_shown(self.members),
            "leader": push.pop("dispatchers", None),
            "push": push,
            "messages": self.stored.status() if self.stored is not None else None,
            "collector": self.collector.status() if self.collector is not None else None,
            "stores": {
                "redis": _connected(self.locations.connected),
                "etcd": _connected(self.members.connected),
            },
            "events": {"emitted": self._events.emitted, "dropped": self._events.dropped},
            "counts": counts(self.proxy, self.transports, self.locations, self._children),
        }

    async def registrations(self, aor: str | None) -> list[dict[str, Any]]:
        """What `/registrations` shows: devices of one user, or of the first users that a scan finds."""
        if aor is not None:
            return bindings_shown(await self.locations.fetch(aor), self.locations.now_ms())
        rows: list[dict[str, Any]] = []
        async for record in self.locations.scan(limit=LIMIT):
            rows += bindings_shown(record, self.locations.now_ms())
        return sorted(rows, key=lambda row: str(row["aor"]))

    async def explained(self, aor: str) -> list[dict[str, Any]]:
        """What `/explain/push` shows: for each device of a user, what a call would do now. Empty: unknown."""
        found: list[dict[str, Any]] = await self.proxy.explain(aor)
        owed = await self.stored.owed(aor) if self.stored is not None and found else {}
        return [
            row | {"device": device_shown(str(row["device"])), "owed": owed.get(row["device"], 0)}
            for row in found
        ]

    async def stored_messages(self, aor: str | None) -> list[dict[str, Any]]:
        """What `/messages` shows: users with stored messages, or what waits for one of them."""
        stored = self._keeps()
        return await (stored.users() if aor is None else stored.waiting(aor))

    async def drop_messages(self, aor: str, identity: str) -> dict[str, Any]:
        """Takes stored messages of a user out: one, or with "" all."""
        return {"dropped": await self._keeps().drop(aor, identity)}

    async def retry_messages(self, aor: str) -> dict[str, Any]:
        """Delivers from here, now, what a user is owed."""
        return await self._keeps().retry(aor)

    def _keeps(self) -> StoredMessages:
        if self.stored is None:
            raise NotPossible(
                "this node keeps no messages, for [messages] enabled is false; "
                "ask another node with --socket, or set it to true"
            )
        return self.stored

    def _member(self) -> Member:
        """This node as the others see it."""
        internal = next((listener for listener in self.transports.listeners if listener.internal), None)
        return Member(
            name=self.settings.node.name,
            epoch=self.epoch,
            internal=f"tcp:{internal.sent_by.decode()}" if internal else "",
            version=version(),
            started_at=int(self._started),
            draining=False,
        )


async def build(
    settings: Settings,
    folder: Path,
    events: EventLog,
    children: Sequence[Child] = (),
    tap: Callable[[Receiver], Receiver] | None = None,
) -> Node:
    """A node that is not started yet; `settings` name real stores and certificates.

    `tap` may put somebody between the transports and the proxy, who sees all that arrives. Waits for Redis
    where this node never saw it before. Raises StartError.
    """
    loop = asyncio.get_running_loop()
    name, epoch = settings.node.name, secrets.token_hex(6)
    room = settings.room()
    try:
        locations = LocationService(settings.redis, events.emit, f"clarion-{name}", kept(settings))
        members = Members(settings.etcd, events.emit)
        tls = tls_contexts(settings.tls)
    except BadAddress as error:
        raise StartError(str(error)) from None
    except OSError as error:
        raise StartError(str(error)) from None
    await locations.start()
    key = await flow_token_key(locations, folder)
    tokens = FlowTokens(name, [key], epoch)
    dns = SystemDns(settings.transport.dns_servers)
    push = _push(settings, locations, members, events)
    messages = _messages(settings, locations, events)
    proxy = Proxy(
        room,
        name=name,
        epoch=epoch,
        locations=locations,
        members=members,
        tokens=tokens,
        locator=_locator(settings, dns),
        loop=loop,
        emit=events.emit if settings.log.events else None,
        push=push,
        purr_key=hmac.digest(key, b"pn-purr", "sha256"),
        messages=messages,
        tell=events.emit,
    )
    collector = collecting(settings, locations, members, messages, proxy, events.emit, name)
    receiver = tap(proxy) if tap is not None else proxy
    transports = Transports(loop, room, receiver, tls, _internal_peers(members))
    return Node(
        settings, epoch, locations, members, proxy, transports, dns, events, children,
        push, messages, collector,
    )  # fmt: skip


def _push(
    settings: Settings, locations: LocationService, members: Members, events: EventLog
) -> PushService | None:
    """Who sends pushes, if this node does."""
    if not settings.push.enabled:
        return None
    return PushService(
        settings.providers(), settings.redis, locations, members, events.emit, settings.node.name
    )


def _messages(settings: Settings, locations: LocationService, events: EventLog) -> Messages | None:
    """Who keeps messages, if this node does."""
    if not settings.messages.enabled:
        return None
    return Messages(settings.messages, settings.redis, locations, events.emit, settings.node.name)


def _locator(settings: Settings, dns: SystemDns) -> Locator:
    """Resolves to what this node can send by: the transports and address families that it listens on."""
    listen = [parse_listen(text) for text in settings.node.listen]
    transports = [name for name in TRANSPORTS if any(address.transport == name for address in listen)]
    families = [
        version for version in (4, 6) if any((":" in address.host) == (version == 6) for address in listen)
    ]
    return Locator(dns, transports=transports, families=families)


def _internal_peers(members: Members) -> Callable[[str], bool]:
    """Who may connect to the internal listener: the addresses of the members."""

    def allowed(address: str) -> bool:
        hosts = {split_host(member.internal.partition(":")[2])[0] for member in members.snapshot.values()}
        return address in hosts

    return allowed


def _connected(state: bool) -> str:
    return "connected" if state else "away"
