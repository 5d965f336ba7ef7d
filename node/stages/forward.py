"""Request forwarding (RFC 3261 16.6): the last stage.

A request becomes a response context whose branches leave here, or a `Relay` when it can only
go to one place; an ACK has no transaction and leaves at once. What has to wait for DNS waits in
a Task of its own; everything else happens within the batch in which the request came.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from node.flows import FlowGone, Flows
from node.fork.branch import Branch
from node.fork.relay import Open, Relay
from node.fork.response_context import ResponseContext
from node.fork.settings import ForkTimers
from node.fork.target import Target
from node.outgoing import Outgoing
from node.request import Request
from node.resolve.locator import Destination, LocateError, Locator
from node.stages import TAKEN, Verdict
from node.transaction.owner import Owner
from node.transaction.server_invite import InviteServer
from node.transaction.table import Client, TransactionTable
from node.transport.flow import Flow
from node.waking.waker import Waker

UDP_ONLY_FOR = 600.0  # seconds that a peer without TCP gets long requests by UDP
UDP_ONLY_PEERS = 10_000
DIRECT = 65_536  # URIs of UDP peers remembered with their flow


class Forward:
    """Sends requests on."""

    def __init__(
        self,
        table: TransactionTable,
        fork_timers: ForkTimers,
        flows: Flows,
        locator: Locator,
        outgoing: Outgoing,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        call_ended: Callable[[ResponseContext, int, float], None],
        udp_mtu: int,
    ) -> None:
        self._table = table
        self._fork_timers = fork_timers
        self._flows = flows
        self._locator = locator
        self._outgoing = outgoing
        self._spawn = spawn
        self._call_ended = call_ended
        self._udp_mtu = udp_mtu
        self.waker: Waker | None = None  # set where pushes can be sent
        self.open = Open()  # requests that have no final response yet
        self._direct: dict[bytes, Flow] = {}
        self._udp_only: dict[tuple[str, int], float] = {}

    def __call__(self, request: Request) -> Verdict:
        """Always takes the request."""
        groups = request.groups
        server = request.server
        if groups is None or (len(groups) == 1 and len(groups[0]) == 1):
            target = groups[0][0] if groups else Target(request.uri, flow_token=request.flow_token)
            if server is None:
                self._acknowledge(request, target)
                return TAKEN
            alone = target.alternative is None and request.wait is None
            if not request.invite and alone and self._relay(request, target):
                return TAKEN
            groups = [[target]]
        elif server is None:
            self._acknowledge(request, groups[0][0])
            return TAKEN
        if isinstance(server, InviteServer) and server.cancelled:
            request.reply(487, request.now)
            return TAKEN
        context = ResponseContext(request, self._fork_timers, self.ask, self._end, self._locator.failed)
        if isinstance(server, InviteServer):
            server.context = context
        if request.wait is not None and self.waker is not None:
            context.held = self.waker.hold(context, request.wait, request.now)
        self.open.count += 1
        context.start(groups.copy(), request.now)
        return TAKEN

    def gone(self, target: Target) -> bool:
        """Whether it is known here that a phone cannot be reached by its flow now."""
        if not target.flow_token:
            return target.asleep
        try:
            self._flows.of_token(target.flow_token)
        except FlowGone:
            return True
        return False

    def _end(self, context: ResponseContext, status: int, now: float) -> None:
        self.open.count -= 1
        if context.invite and not context.request.message.to_tag:
            self._call_ended(context, status, now)

    def _relay(self, request: Request, target: Target) -> bool:
        """Sends a request that needs no response context; False if this one does."""
        relay = Relay(request, self.open)
        if self.alone(request, target, relay) is None:
            self.open.count -= 1
            return False
        return True

    def alone(self, request: Request, target: Target, owner: Owner) -> Client | None:
        """Asks a target whose flow is known, and which no other has to be tried for; None if it is not so."""
        try:
            flow = self._flow_now(request, target)
        except FlowGone:
            return None
        if flow is None:
            return None
        branch_id = self._outgoing.branch(request.message)
        data = self._outgoing.bytes(request, target, flow, branch_id)
        if len(data) > self._udp_mtu and not flow.reliable and not target.flow_token:
            return None
        return self._table.ask(request.method, branch_id, data, flow, owner, request.now)

    def _flow_now(self, request: Request, target: Target) -> Flow | None:
        """The flow to a target if no look-up is needed. Raises FlowGone."""
        if target.flow_token:
            return self._flows.of_token(target.flow_token)
        if target.asleep:
            return None
        uri = target.routes[0] if target.routes else request.next_route or target.uri
        flow = self._direct.get(uri)
        if flow is None:
            hops = self._locator.locate_now(uri)
            if hops is not None:
                flow = self._remember(uri, hops)
        return flow

    def ask(self, branch: Branch, now: float) -> None:
        """Opens the client transaction of a branch, or fails the branch."""
        target, request = branch.target, branch.context.request
        if target.asleep:
            branch.failed(430, "The node that held the connection is gone", now)
            return
        if branch.hops:
            self._next_hop(branch, now)
            return
        try:
            flow = self._flow_now(request, target)
        except FlowGone as gone:
            branch.failed(gone.status, str(gone), now)
            return
        if flow is not None:
            self._send(branch, flow, now)
            return
        uri = target.routes[0] if target.routes else request.next_route or target.uri
        hops = self._locator.locate_now(uri)
        if hops is None:
            self._spawn(self._locate(branch, uri))
        else:
            branch.hops = hops
            self._next_hop(branch, now)

    def _remember(self, uri: bytes, hops: tuple[Destination, ...]) -> Flow | None:
        """A URI that means one UDP address needs no look-ups the next time."""
        hop = hops[0]
        if len(hops) > 1 or hop.transport != "udp" or hop.name != hop.host:
            return None
        flow = self._flows.to(hop, False)
        if flow is not None:
            if len(self._direct) >= DIRECT:
                self._direct.clear()
            self._direct[uri] = flow
        return flow

    async def _locate(self, branch: Branch, uri: bytes) -> None:
        try:
            branch.hops = await self._locator.locate(uri)
        except LocateError as error:
            branch.failed(480 if error.temporary else 404, str(error), self._table.now())
            return
        if not branch.status and branch.cancelled is None:
            self._next_hop(branch, self._table.now())

    def _next_hop(self, branch: Branch, now: float) -> None:
        """Sends to the first of the branch's hops; the rest remain for a failure."""
        hop = branch.hop = branch.hops[0]
        branch.hops = branch.hops[1:]
        flow = self._flows.to(hop, branch.target.internal)
        if flow is None:
            branch.failed(503, "No listener of that transport and address family", now)
        else:
            self._send(branch, flow, now)

    def _send(self, branch: Branch, flow: Flow, now: float) -> None:
        request, target = branch.context.request, branch.target
        branch_id = self._outgoing.branch(request.message)
        data = self._outgoing.bytes(request, target, flow, branch_id)
        if len(data) > self._udp_mtu and not flow.reliable and not target.flow_token:
            tcp = self._by_tcp(branch, flow, now)
            if tcp is not None:
                flow = tcp
                data = self._outgoing.bytes(request, target, flow, branch_id)
        branch.client = self._table.ask(request.method, branch_id, data, flow, branch, now)

    def _by_tcp(self, branch: Branch, flow: Flow, now: float) -> Flow | None:
        """RFC 3261 18.1.1: a long request goes by TCP, and by UDP if the peer has none."""
        peer = (flow.received.decode(), flow.rport)
        if branch.tried_tcp:
            if len(self._udp_only) >= UDP_ONLY_PEERS:
                self._udp_only.clear()
            self._udp_only[peer] = now + UDP_ONLY_FOR
        if self._udp_only.get(peer, 0.0) > now:
            return None
        tcp = self._flows.to(Destination("tcp", *peer, name=""), False)
        if tcp is not None:
            branch.tried_tcp = True  # should it fail, the branch comes back to this hop
            branch.hops = (Destination("udp", *peer, name=""), *branch.hops)
        return tcp

    def _acknowledge(self, request: Request, target: Target) -> None:
        """ACK for a 2xx: sent once, to the first target, without a transaction."""
        try:
            flow = self._flow_now(request, target)
        except FlowGone:
            return
        if flow is not None:
            self._send_ack(request, target, flow)
        elif not target.asleep:
            uri = target.routes[0] if target.routes else request.next_route or target.uri
            hops = self._locator.locate_now(uri)
            if hops is None:
                self._spawn(self._locate_ack(request, target, uri))
            else:
                self._ack_to(request, target, hops)

    async def _locate_ack(self, request: Request, target: Target, uri: bytes) -> None:
        try:
            hops = await self._locator.locate(uri)
        except LocateError:
            return
        self._ack_to(request, target, hops)

    def _ack_to(self, request: Request, target: Target, hops: tuple[Destination, ...]) -> None:
        flow = self._flows.to(hops[0], target.internal)
        if flow is not None:
            self._send_ack(request, target, flow)

    def _send_ack(self, request: Request, target: Target, flow: Flow) -> None:
        flow.send(self._outgoing.bytes(request, target, flow, self._outgoing.branch(request.message)))
