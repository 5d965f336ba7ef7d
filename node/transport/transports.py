"""All transports of one node: opens the listeners, finds flows, closes in order."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from node.transport.acceptor import Acceptor
from node.transport.address import (
    ListenAddress,
    family_of,
    is_address,
    is_loopback,
    parse_listen,
    shown_address,
    split_host,
)
from node.transport.connection import StreamLimits
from node.transport.connections import Connections
from node.transport.faults import Faults
from node.transport.flow import Flow, Listener
from node.transport.outbox import Outbox
from node.transport.udp import Udp

if TYPE_CHECKING:
    from node.settings import NodeRoomSettings
    from node.transport.receiver import Receiver
    from node.transport.tls_context import TlsContexts

CACHE: Final = 32_768  # UDP flows found by address
CLOSE_TIMEOUT: Final = 2.0  # seconds for queued output when the node stops


class Transports:
    """``[node] listen`` and ``internal`` as sockets. ``listeners`` is filled by ``start``, in their order."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: NodeRoomSettings,
        receiver: Receiver,
        tls: TlsContexts | None = None,
        allow_internal: Callable[[str], bool] | None = None,
    ) -> None:
        """``allow_internal(ip)`` says who may connect to the internal listener; None: everybody."""
        self._loop = loop
        self._settings = settings
        self._receiver = receiver
        self._allow_internal = allow_internal
        self._outbox = Outbox(loop)
        self._faults = Faults()
        transport, limits = settings.transport, settings.limits
        self.connections = Connections(
            loop,
            receiver,
            self._outbox,
            self._faults,
            StreamLimits(
                max_message=limits.max_message,
                connect_timeout=transport.connect_timeout,
                handshake_timeout=transport.handshake_timeout,
                message_timeout=transport.message_timeout,
                idle_timeout=transport.idle_timeout,
                send_queue=transport.send_queue,
            ),
            tls=tls,
            maximum=limits.connections,
            maximum_per_address=limits.connections_per_address,
        )
        self.listeners: list[Listener] = []
        self._udps: list[Udp] = []
        self._acceptors: list[Acceptor] = []
        self._udp_flows: dict[tuple[int, str, int], Flow] = {}
        self._chosen: dict[tuple[str, str, int, bool], Listener] = {}

    # opening and closing

    async def start(self) -> None:
        """Open every listener. Raises OSError or ValueError naming the one that cannot be; then none is."""
        node = self._settings.node
        try:
            for text in node.listen:
                self._open(text, False)
            if node.internal:
                self._open(node.internal, True)
        except BaseException:
            await self.close()
            raise
        self.connections.deadlines.start()

    def _open(self, text: str, internal: bool) -> None:
        address = parse_listen(text)
        tls = self.connections.tls
        if address.transport == "tls" and (tls is None or tls.server is None):
            raise ValueError(f"{text}: a TLS listener needs a certificate, see [tls] cert")
        try:
            opened = self._socket(address, internal)
        except OSError as error:
            raise OSError(error.errno, f"{text}: {error.strerror or error}") from error
        port = opened.listener.port
        if internal:
            shown = shown_address(address.host), port
        else:
            shown = advertised(self._settings.node.advertise, address, port)
        listener = Listener(
            address.transport,
            address.host,
            port,
            advertise_host=shown[0],
            advertise_port=shown[1],
            internal=internal,
        )
        opened.start(listener)
        self.listeners.append(listener)

    def _socket(self, address: ListenAddress, internal: bool) -> Udp | Acceptor:
        if address.transport == "udp":
            udp = Udp(
                self._loop,
                address,
                self._receiver,
                self._outbox,
                self._faults,
                receive_buffer=self._settings.transport.udp_receive_buffer,
            )
            self._udps.append(udp)
            return udp
        allowed = self._allow_internal if internal else None
        acceptor = Acceptor(self._loop, address, self.connections, allowed)
        self._acceptors.append(acceptor)
        return acceptor

    async def close(self) -> None:
        """Close everything; queued output has two seconds to leave."""
        for acceptor in self._acceptors:
            acceptor.close()
        self._outbox.flush()
        await self.connections.close("the node stops", CLOSE_TIMEOUT)
        for udp in self._udps:
            udp.close()

    def reload_tls(self, tls: TlsContexts) -> None:
        """Use other certificates for connections from now on."""
        self.connections.tls = tls

    # finding flows

    def flow_to(
        self, transport: str, host: str, port: int, server_name: str = "", internal: bool = False
    ) -> Flow:
        """The flow to an IP address, by a connection of ours if the transport has connections.

        A new connection opens in the background; if it fails, the flow closes. Never a connection that the
        peer opened: that one is found by its serial only. Raises LookupError if there is no way.
        """
        if transport == "udp":
            return self.udp_flow(0, host, port)
        listener = self._chosen.get((transport, host, port, internal))
        if listener is None:
            listener = self._choose(transport, host, port, internal)
        return self.connections.to(listener, host, port, server_name if transport == "tls" else "")

    def udp_flow(self, listener_port: int, host: str, port: int) -> Flow:
        """The flow to an IP address by the UDP listener with that port, or the best one if there is none."""
        key = (listener_port, host, port)
        flow = self._udp_flows.get(key)
        if flow is None:
            flow = self._best_udp(listener_port, host, port).flow_to(host, port)
            if len(self._udp_flows) >= CACHE:
                self._udp_flows.clear()
            self._udp_flows[key] = flow
        return flow

    def flow_by_serial(self, serial: int) -> Flow | None:
        """An open connection by its number."""
        return self.connections.by_serial.get(serial)

    def _best_udp(self, listener_port: int, host: str, port: int) -> Udp:
        family = _family(host, port)
        udps = [udp for udp in self._udps if family_of(udp.listener.host) == family]
        if not udps:
            raise LookupError(f"no UDP listener for {host}")
        near = is_loopback(host)
        return max(
            udps,
            key=lambda udp: (
                udp.listener.port == listener_port,
                udp.knows(host, port),
                is_loopback(udp.listener.host) == near,
            ),
        )

    def _choose(self, transport: str, host: str, port: int, internal: bool) -> Listener:
        family, near = _family(host, port), is_loopback(host)
        fitting = [
            listener
            for listener in self.listeners
            if listener.transport == transport and listener.internal == internal
        ]
        if not fitting:
            raise LookupError(f"no {transport} listener")
        best = max(
            fitting,
            key=lambda listener: (family_of(listener.host) == family, is_loopback(listener.host) == near),
        )
        if len(self._chosen) >= CACHE:
            self._chosen.clear()
        self._chosen[(transport, host, port, internal)] = best
        return best

    # counting

    def counts(self) -> dict[str, int]:
        """What an operator asks the transports."""
        return {
            "connections": len(self.connections),
            "connections_refused": self.connections.refused,
            "receiver_errors": self._faults.count,
            "udp_dropped_in": sum(udp.kernel_drops for udp in self._udps),
            "udp_dropped_out": sum(udp.dropped for udp in self._udps),
            "udp_keep_alives": sum(udp.keep_alives for udp in self._udps),
            "stun_requests": sum(udp.stun_requests for udp in self._udps),
        }


def advertised(advertise: str, address: ListenAddress, port: int) -> tuple[str, int]:
    """What peers are told for a listener: ``[node] advertise``, else where it listens.

    A name holds for every listener, an IP address for those of its family; a port for UDP and TCP, since TLS
    has one of its own.
    """
    host, other_port = split_host(advertise) if advertise else ("", None)
    try:
        fits = not host or ipaddress.ip_address(host).version == (6 if ":" in address.host else 4)
    except ValueError:
        fits = True
    if not host or not fits:
        return shown_address(address.host), port
    return host, other_port if other_port and address.transport != "tls" else port


def _family(host: str, port: int) -> int:
    """Address family of an IP address; LookupError for anything else, since a name would block the loop."""
    if not is_address(host):
        raise LookupError(f"{host} is not an IP address")
    if not 0 < port < 65536:
        raise LookupError(f"{port} is not a port")
    return family_of(host)
