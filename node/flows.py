"""The flow by which a request leaves: a phone's own, another node's, or a server's."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.membership import Member, Members
from node.resolve.locator import Destination
from node.transport.flow import Flow
from node.transport.token import FlowTokens, TokenError
from node.transport.transports import Transports

CACHE = 32_768


class FlowGone(Exception):
    """A flow token leads nowhere; `status` is what the requester hears (RFC 5626 5.3)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Flows:
    """Finds flows. Never opens a connection towards a phone that opened its own."""

    def __init__(self, transports: Transports, tokens: FlowTokens, members: Members, epoch: str) -> None:
        self._transports = transports
        self._tokens = tokens
        self._members = members
        self._epoch = epoch
        self._by_token: dict[str, Flow] = {}  # tokens opened before, whose flows were alive
        self._snapshot: Mapping[str, Member] | None = None
        self._internal: frozenset[tuple[str, str, int]] = frozenset()

    def of_token(self, token: str) -> Flow:
        """The live flow that a token names. Raises FlowGone: 403 falsified, 430 gone."""
        flow = self._by_token.get(token)
        if flow is None:
            flow = self._open(token)
            if len(self._by_token) >= CACHE:
                self._by_token.clear()
            self._by_token[token] = flow
        if flow.closed:
            del self._by_token[token]
            raise FlowGone(430, "The connection of the phone is gone")
        return flow

    def _open(self, token: str) -> Flow:
        try:
            address = self._tokens.open(token)
        except TokenError as error:
            raise FlowGone(403, f"Flow token refused: {error}") from None
        if address.node != self._tokens.node_name:
            raise FlowGone(430, f"The flow belongs to node {address.node}")
        if address.transport == "udp":
            try:
                return self._transports.udp_flow(address.listener_port, address.host, address.port)
            except LookupError as error:
                raise FlowGone(430, str(error)) from None
        flow = self._transports.flow_by_serial(address.serial)
        # A phone that took over the address of another has another connection, hence serial.
        if address.epoch != self._epoch or flow is None or flow.closed:
            raise FlowGone(430, "The connection of the phone is gone")
        return flow

    def to(self, hop: Destination, internal: bool) -> Flow | None:
        """The flow to a destination; None when no listener of ours can send there."""
        internal = internal or (hop.transport, hop.host, hop.port) in self._internal_addresses()
        try:
            return self._transports.flow_to(hop.transport, hop.host, hop.port, hop.name, internal=internal)
        except LookupError:
            return None

    def _internal_addresses(self) -> frozenset[tuple[str, str, int]]:
        snapshot = self._members.snapshot
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._internal = frozenset(_address(member.internal) for member in snapshot.values())
        return self._internal


def _address(internal: str) -> tuple[str, str, int]:
    transport, _, rest = internal.partition(":")
    host, _, port = rest.rpartition(":")
    return transport, host.strip("[]"), int(port or 0)
