"""A request on its way through the stages of `node.route`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.sip.status import REASONS

if TYPE_CHECKING:
    from cluster.location.record import Record
    from node.fork.target import Target
    from node.sip.codec import Message
    from node.transaction.table import Server
    from node.transport.flow import Flow
    from node.waking.wait import Wait


def own_tag(key: bytes) -> bytes:
    """The To tag of our own responses to one request: the same for each of them, unlike any
    other's, and not to be guessed (`hash` of bytes is keyed per process)."""
    return b"c%x" % (hash(key) & 0xFFFFFFFFFFFFFFFF)


class Request:
    """What the stages know. A stage may look, change these fields, answer, or take it."""

    __slots__ = (
        "aor",
        "breadth",
        "drop_routes",
        "extra_routes",
        "flow",
        "flow_token",
        "groups",
        "invite",
        "message",
        "method",
        "next_route",
        "now",
        "record",
        "server",
        "uri",
        "wait",
    )  # fmt: skip

    def __init__(self, message: Message, flow: Flow, server: Server | None, now: float) -> None:
        self.message = message
        self.method = message.method
        self.flow = flow  # by which it came
        self.server = server  # None for ACK
        self.now = now
        self.invite = message.method == "INVITE"
        self.uri = message.uri  # Request-URI as it stands now
        self.drop_routes = 0  # leading Route values that named us
        self.next_route = b""  # URI of the first Route value after those
        self.flow_token = ""  # user part of the last Route value that named us
        self.extra_routes: tuple[bytes, ...] = ()  # appended to Route for a strict router
        self.groups: list[list[Target]] | None = None  # target set, once decided, by q
        self.aor = ""  # the address of record that was looked up
        self.record: Record | None = None  # what is known of that address
        self.wait: Wait | None = None  # for phones that have to be woken
        self.breadth = 0  # Max-Breadth of each branch; 0 leaves it alone

    def progress(self, status: int, now: float) -> None:
        """A provisional response of our own, without a To tag: it makes no early dialog."""
        if self.server is not None:
            flow = self.flow
            data = self.message.reply(status, REASONS[status], b"", flow.received, flow.rport, b"")
            self.server.respond(status, data, now)

    def reply(self, status: int, now: float, reason: str = "", insert: bytes = b"") -> None:
        """Answers it; `insert` holds complete header lines. An ACK is never answered."""
        server = self.server
        if server is None:
            return
        tag = own_tag(server.key) if status > 100 else b""
        flow = self.flow
        data = self.message.reply(status, reason or REASONS[status], tag, flow.received, flow.rport, insert)
        server.respond(status, data, now)
