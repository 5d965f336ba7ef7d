"""The message of the Python codec: what ``codec_python.parse`` makes and ``_codec.Message`` does alike.

A message is a start line and rows. Rows keep their bytes as they came, folds included; forwarding joins them
again, so whatever is not edited leaves untouched.
"""

from __future__ import annotations

from typing import Final

from node.sip.derived import ack_for, cancel_for
from node.sip.errors import ParseError
from node.sip.grammar import WHITE, next_comma, split, unfold
from node.sip.via import Via

_REPLIED: Final = frozenset(("via", "from", "to", "call-id", "cseq"))


class Message:
    """A request or response; nothing in it ever changes."""

    __slots__ = (
        "_at", "_body", "_lines", "_names", "_reason", "_start", "_via", "call_id", "cseq", "from_tag",
        "from_uri", "is_request", "max_forwards", "method", "raw", "status", "to_tag", "to_uri", "uri",
    )  # fmt: skip

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.is_request = True
        self.method = ""
        self.status = self.cseq = 0
        self.uri = self.call_id = self.from_tag = self.from_uri = self.to_tag = self.to_uri = self._reason = (
            b""
        )
        self.max_forwards = -1
        self._body = len(raw)
        self._start = b""
        self._names: list[str] = []
        self._lines: list[bytes] = []
        self._via: Via | None = None
        self._at: dict[str, int] = {}  # name -> its first row

    # What the message says

    @property
    def reason(self) -> str:
        """Reason phrase of a response; octets that are not UTF-8 are replaced."""
        return self._reason.decode(errors="replace")

    @property
    def branch(self) -> bytes:
        """Branch of the top Via, b"" if it has none."""
        return self._via.branch if self._via else b""

    @property
    def sent_by(self) -> bytes:
        """Top Via's "host[:port]" as written, IPv6 in its brackets."""
        return self._via.sent_by if self._via else b""

    @property
    def via_host(self) -> bytes:
        """Top Via's host as written, IPv6 without brackets."""
        return self._via.host if self._via else b""

    @property
    def via_port(self) -> int:
        """Top Via's port, 0 if it names none."""
        return self._via.port if self._via else 0

    @property
    def via_transport(self) -> str:
        """Top Via's transport in upper case."""
        return self._via.transport if self._via else ""

    @property
    def via_count(self) -> int:
        """Number of Via values, comma-separated ones counted."""
        return len(self.values("via"))

    @property
    def top_via(self) -> bytes:
        """The top Via value as written."""
        return self._via.line[self._via.start : self._via.end] if self._via else b""

    @property
    def body(self) -> bytes:
        """Content-Length octets, or the rest of the datagram when there is no Content-Length."""
        return self.raw[self._body :]

    @property
    def key(self) -> bytes:
        """What finds the transaction: branch, sent-by, method with ACK as INVITE (RFC 3261 17.2.3, 17.1.3).

        A request whose branch lacks the magic cookie (RFC 2543) is known by its Request-URI, From tag,
        Call-ID, CSeq number and top Via instead. The To tag is left out: the ACK carries one that its INVITE
        had not.
        """
        method = b"INVITE" if self.method == "ACK" else self.method.encode()
        branch = self.branch
        if len(branch) > 7 and branch.startswith(b"z9hG4bK"):
            return b"%b %b %b" % (branch, self.sent_by, method)
        parts = (b"2543", self.uri, self.from_tag, self.call_id, b"%d" % self.cseq, self.top_via, method)
        return b" ".join(parts)

    def has(self, name: str) -> bool:
        """Whether a header field is there; ``name`` is the long form in lower case."""
        return name in self._at

    def first(self, name: str) -> bytes | None:
        """Value of the first row of that name, unfolded and trimmed."""
        return value_of(self._lines[self._at[name]]) if name in self._at else None

    def all(self, name: str) -> list[bytes]:
        """Value of every row of that name, in order."""
        return [value_of(line) for line in self.rows(name)]

    def values(self, name: str) -> list[bytes]:
        """Rows of that name split at their top-level commas; empty values are left out."""
        return [value for line in self.rows(name) for value in split(line, line.index(b":") + 1)]

    def rows(self, name: str) -> list[bytes]:
        """Rows of that name as they came, without their last CRLF."""
        return [line for line, known in zip(self._lines, self._names, strict=True) if known == name]

    # What becomes of it

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
        """The request as it leaves (RFC 3261 16.6).

        ``uri`` replaces the Request-URI (None keeps it); ``via`` is a header line without CRLF; ``insert``
        complete lines to follow it; ``received`` and ``rport`` the source to stamp into the old top Via;
        ``drop_routes`` counts Route values, ``remove`` names rows. ``max_forwards`` is set or added, -1
        leaves it. Content-Length is added if absent or removed. All else is untouched and in place.
        """
        start = self._start
        if uri is not None and self.is_request:
            start = b"%b %b SIP/2.0" % (self.method.encode(), uri)
        out = [start, via + b"\r\n" + insert[:-2] if insert else via]
        top = self._at["via"]
        for row, name in enumerate(self._names):
            line = self._lines[row]
            if name in remove:
                continue
            if row == top and self._via:
                line = self._via.stamped(received, rport) + line[self._via.end :]
            elif name == "max-forwards" and max_forwards >= 0:
                line = line[: value_at(line)] + b"%d" % max_forwards
            elif name == "route" and drop_routes:
                drop_routes, rest = _without_values(line, drop_routes)
                if rest is None:
                    continue
                line = rest
            out.append(line)
        if max_forwards >= 0 and "max-forwards" not in self._at:
            out.append(b"Max-Forwards: %d" % max_forwards)
        body = self.body
        if "content-length" not in self._at or "content-length" in remove:
            out.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(out) + b"\r\n\r\n" + body

    def pop_via(self, insert: bytes = b"") -> bytes:
        """The response without its top Via value; ``insert`` (complete lines) comes first in the header.

        Content-Length is added if absent: a datagram may lack it, a stream may not (RFC 3261 18.3).
        """
        out = [self._start + b"\r\n" + insert[:-2] if insert else self._start]
        for row, line in enumerate(self._lines):
            if row == self._at["via"]:
                _, rest = _without_values(line, 1)
                if rest is None:
                    continue
                line = rest
            out.append(line)
        body = self.body
        if "content-length" not in self._at:
            out.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join(out) + b"\r\n\r\n" + body

    def next_via(self) -> tuple[str, bytes, int, bytes, int] | None:
        """Transport, host, port, received, rport of the second Via value: where a response goes next.

        None if there is none or it is malformed; port and rport are 0, received is b"" where absent.
        """
        if self._via is None:
            return None
        line, at = self._via.line, self._via.next
        if at < 0 or not line[at:].strip(WHITE):
            rows = self.rows("via")
            if len(rows) < 2:
                return None
            line = rows[1]
            at = line.index(b":") + 1
        try:
            via = Via(line, at)
        except ParseError:
            return None
        return via.transport, via.host, via.port, via.received, via.rport

    def reply(
        self,
        status: int,
        reason: str,
        to_tag: bytes,
        received: bytes,
        rport: int,
        insert: bytes = b"",
        body: bytes = b"",
    ) -> bytes:
        """A response to this request (RFC 3261 8.2.6).

        It holds every Via (the top one stamped with ``received`` and ``rport``), From, To (with ``to_tag``
        unless it has a tag or none is given), Call-ID, CSeq, Timestamp in a 100, then ``insert`` (complete
        lines) and ``body``.
        """
        out = [b"SIP/2.0 %d %b" % (status, reason.encode(errors="replace"))]
        seen, top = set(), self._at.get("via")
        for row, name in enumerate(self._names):
            if name not in _REPLIED and not (status == 100 and name == "timestamp"):
                continue
            line = self._lines[row]
            if row == top and self._via:
                line = self._via.stamped(received, rport) + line[self._via.end :]
            elif name in seen and name not in ("via", "timestamp"):
                continue  # only a refused message repeats these
            elif name == "to" and to_tag and self.to_uri and not self.to_tag:
                line = line.rstrip(WHITE) + b";tag=" + to_tag
            seen.add(name)
            out.append(line)
        return b"\r\n".join(out) + b"\r\n%bContent-Length: %d\r\n\r\n%b" % (insert, len(body), body)

    def ack(self, response: Message) -> bytes:
        """The ACK for a non-2xx final response, on the request as sent (RFC 3261 17.1.1.3)."""
        return ack_for(self, response)

    def cancel(self, insert: bytes = b"") -> bytes:
        """The CANCEL of this request, on the request as sent (RFC 3261 9.1); ``insert``: whole lines."""
        return cancel_for(self, insert)


def value_at(line: bytes) -> int:
    """Where the value of a row begins."""
    return len(line) - len(line[line.index(b":") + 1 :].lstrip(WHITE))


def value_of(line: bytes) -> bytes:
    return unfold(line[line.index(b":") + 1 :].strip(WHITE))


def _without_values(line: bytes, count: int) -> tuple[int, bytes | None]:
    """Drop the first ``count`` values of a row (empty ones do not count): how many remain, what is left."""
    at = start = value_at(line)
    while count:
        comma = next_comma(line, at)
        if line[at : comma if comma >= 0 else len(line)].strip(WHITE):
            count -= 1
        if comma < 0:
            return count, None
        at = comma + 1
    rest = line[at:].lstrip(WHITE)
    return 0, line[:start] + rest if rest else None
