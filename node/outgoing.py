"""The bytes of a request that leaves (RFC 3261 16.6, steps 2 to 8)."""

from __future__ import annotations

from node.branch_id import BranchIds
from node.fork.target import Target
from node.record_route import RecordRoute
from node.request import Request
from node.transport.flow import Flow

INITIAL_MAX_FORWARDS = 70
DIALOG_FORMING = frozenset(("INVITE", "SUBSCRIBE", "REFER"))


class Outgoing:
    """Writes copies of requests."""

    def __init__(self, branch_ids: BranchIds, record_route: RecordRoute) -> None:
        self.branch = branch_ids.make  # (message) -> a new branch
        self._record_route = record_route

    def bytes(self, request: Request, target: Target, flow: Flow, branch: bytes) -> bytes:
        """The copy for one target, as it leaves by `flow`."""
        message = request.message
        lines = b""
        if request.method in DIALOG_FORMING and not message.to_tag:
            lines = self._record_route.lines(message, request.flow, flow, target.flow_token)
        if target.routes or request.extra_routes:
            for route in (*target.routes, *request.extra_routes):
                lines += b"Route: <" + route + b">\r\n"
        remove: tuple[str, ...] = ()
        if request.breadth:
            lines += b"Max-Breadth: %d\r\n" % request.breadth
            remove = ("max-breadth",)
        hops = message.max_forwards
        source = request.flow
        return message.forward(
            None if target.uri == message.uri else target.uri,
            flow.listener.via + branch + b";rport",
            INITIAL_MAX_FORWARDS if hops < 0 else hops - 1,
            source.received,
            source.rport,
            request.drop_routes,
            lines,
            remove,
        )
