"""The stored form of a MESSAGE, and the request that it becomes again.

Stored are the bytes of the whole request without what belongs to its way here: Via, Route, Record-Route and
Max-Forwards. They need no parsing when they leave: Request-Line, our Via and the routes are put in front of
them. All else, Call-ID, CSeq, From tag and body, is what the sender wrote, so that a phone that sees it twice
knows it again. Date says when it was sent (RFC 3428 8): it is added where the sender left it out.
"""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from node.request import Request
    from node.sip.codec import Message

OF_ITS_WAY = ("via", "route", "record-route", "max-forwards", "date")


def stored_form(message: Message, now_ms: int) -> bytes:
    """The bytes to store of a request that came at `now_ms` (since 1970)."""
    date = b"Date: " + (message.first("date") or _date(now_ms // 1000))
    return message.forward(None, date, -1, b"", 0, 0, b"", OF_ITS_WAY)


@lru_cache(maxsize=2)
def _date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()


def request_of(stored: bytes) -> Request:
    """A request that leaves as those do that have just come (`node.outgoing`), made of its stored form."""
    return cast("Request", StoredRequest(stored))


class Nowhere:
    """The source of a request that came by no flow; without a Via nothing is stamped with it."""

    received = b""
    rport = 0


class StoredMessage:
    """What is asked of the message when a copy of its request is written."""

    __slots__ = ("_rest", "uri")

    method = "MESSAGE"
    max_forwards = -1  # it gets a new one
    call_id = from_tag = to_tag = b""  # a part of a branch: what we make here cannot loop before it is sent
    cseq = 0

    def __init__(self, stored: bytes) -> None:
        start, _, self._rest = stored.partition(b"\r\n")
        self.uri = start[8:-8]

    def first(self, name: str) -> bytes | None:
        """There is no Route."""
        return None

    def forward(
        self,
        uri: bytes | None,
        via: bytes,
        max_forwards: int,
        received: bytes,
        rport: int,
        drop_routes: int = 0,
        insert: bytes = b"",
        remove: tuple[str, ...] = (),
    ) -> bytes:
        """As `Message.forward`, of what a copy needs."""
        uri = self.uri if uri is None else uri
        return b"MESSAGE %b SIP/2.0\r\n%b\r\n%bMax-Forwards: %d\r\n%b" % (
            uri, via, insert, max_forwards, self._rest
        )  # fmt: skip


class StoredRequest:
    """What is asked of a request by who sends its branches."""

    __slots__ = ("message", "uri")

    method = "MESSAGE"
    invite = False
    flow = Nowhere()
    server = None
    groups = None
    wait = None
    drop_routes = breadth = 0
    next_route = b""
    flow_token = aor = ""
    extra_routes = ()

    def __init__(self, stored: bytes) -> None:
        self.message = StoredMessage(stored)
        self.uri = self.message.uri
