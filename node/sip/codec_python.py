"""The SIP codec in plain Python: the twin of ``_codec.pyx``, its oracle, and what refuses for both.

Rules that RFC 3261 leaves open are settled here, strictly:

* lines end with CRLF; a bare CR or LF in the header is refused (two readers could see two different
  messages);
* at most 256 header fields; names are tokens; Content-Length, Max-Forwards, From, To, Call-ID and CSeq occur
  once;
* octets after Content-Length are dropped from ``raw`` (RFC 4475 3.1.1.8), as are CRLFs before the start line;
* an unquoted comma in the display name of From or To passes (RFC 4475 3.1.2.15), everything else there is
  checked.

The compiled codec hands any message it does not accept to ``parse`` here, so that refusals are worded in one
place.
"""

from __future__ import annotations

import re
from contextlib import suppress
from sys import intern
from typing import Final

from node.sip.errors import ParseError
from node.sip.grammar import cseq, is_token, name_addr, number
from node.sip.message import Message, value_of
from node.sip.via import Via, usable

MAX_ROWS: Final = 256
MAX_MESSAGE: Final = 2**30
COMPACT: Final = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "e": "content-encoding", "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported",
    "l": "content-length", "m": "contact", "n": "identity-info", "o": "event", "r": "refer-to",
    "s": "subject", "t": "to", "u": "allow-events", "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip
_ONCE: Final = {
    "from": "From", "to": "To", "call-id": "Call-ID", "cseq": "CSeq",
    "max-forwards": "Max-Forwards", "content-length": "Content-Length",
}  # fmt: skip
_MANDATORY: Final = ("via", "from", "to", "call-id", "cseq")
METHODS: Final = {
    name.encode(): intern(name)
    for name in (
        "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH",
        "INFO", "PRACK", "UPDATE", "REFER",
    )
}  # fmt: skip

_is_request_uri = re.compile(rb'[A-Za-z][A-Za-z0-9+.\-]*+:[^\x00-\x20\x7f<>"]++').fullmatch
_is_status_line = re.compile(rb"[Ss][Ii][Pp]/2\.0 ([1-6][0-9][0-9])(?: ([^\r\n]*+))?").fullmatch
_is_version = re.compile(rb"[Ss][Ii][Pp]/[0-9]++\.[0-9]++").fullmatch
_leading = re.compile(rb"\A(?:\r\n)+")
_row_ends = re.compile(rb"\r\n(?![ \t])").split
_is_call_id = re.compile(rb"[^\x00-\x20\x7f]++").fullmatch

_canonical: dict[
    bytes, str
] = {}  # spelling of a name -> canonical name; bounded, filled as spellings are met


def _name_of(spelling: bytes) -> str | None:
    """Canonical name of a header field as spelled before its colon; None if that is not a token."""
    name = spelling.rstrip(b" \t")
    if not is_token(name):
        return None
    lower = name.decode().lower()
    canonical = intern(COMPACT.get(lower, lower))
    if len(_canonical) < 1024 and len(spelling) < 40:
        _canonical[spelling] = canonical
    return canonical


def parse(raw: bytes) -> Message:
    """One whole message: a datagram, or what the framer cut from a stream.

    Raises ParseError with the status and reason that the message deserves and, where it may be answered, its
    answerable part (RFC 3261 7, 8.1.1, 18.3; RFC 4475).
    """
    message = Message(raw)
    try:
        fault = _index(message)
        _start_line(message)
        if fault:
            raise ParseError(400, fault)
        _header(message)
        _length(message)
    except ParseError as refusal:
        refusal.message = _answerable(message)
        raise
    return message


def answerable(raw: bytes) -> Message | None:
    """What may be answered of a request that is not worth reading whole (RFC 3261 18.3), or None."""
    message = Message(raw)
    _index(message)
    with suppress(ParseError):
        _start_line(message)
    return _answerable(message)


def body_length(header: bytes) -> int:
    """Content-Length in a header without its last CRLF; -1 absent, -2 malformed, -3 repeated."""
    length = -1
    folded = b"\r\n " in header or b"\r\n\t" in header
    for line in _row_ends(header) if folded else header.split(b"\r\n"):
        if line[:1] in b"cClL":
            name, colon, value = line.partition(b":")
            if colon and name.rstrip(b" \t").lower() in (b"content-length", b"l"):
                if length != -1:
                    return -3
                length = number(value, MAX_MESSAGE)
                if length < 0:
                    return -2
    return length


def whole(data: bytes, at: int, most: int) -> int:
    """Where the message that begins at ``at`` ends.

    0 unless all of it is there, it says its length and has ``most`` octets at most.
    """
    end = data.find(b"\r\n\r\n", at)
    if end < 0 or not is_token(data[at : at + 1]):
        return 0
    length = body_length(data[at:end])
    end += 4 + length
    return end if length >= 0 and end <= len(data) and end - at <= most else 0


def _index(message: Message) -> str:
    """Find start line, rows and body; returns what is wrong with the lines, "" if nothing."""
    raw, fault = message.raw, ""
    if raw[:2] == b"\r\n":
        raw = _leading.sub(b"", raw)
    end = raw.find(b"\r\n\r\n")
    header = raw[:end] if end >= 0 else raw
    if not header.count(b"\r") == header.count(b"\n") == header.count(b"\r\n"):
        fault = "Line end that is not CRLF"
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        end = raw.find(b"\r\n\r\n")
        header = raw[:end] if end >= 0 else raw
    elif end < 0:
        fault = "Header without an empty line at its end"
    message.raw = raw
    message._body = end + 4 if end >= 0 else len(raw)
    folded = b"\r\n " in header or b"\r\n\t" in header
    lines = _row_ends(header, MAX_ROWS + 1) if folded else header.split(b"\r\n", MAX_ROWS + 1)
    message._start = lines.pop(0)
    if len(lines) > MAX_ROWS:
        fault = fault or f"More than {MAX_ROWS} header fields"
        lines.pop()
    bad_row = _rows(message, lines if lines[-1:] != [b""] else lines[:-1])
    return fault or bad_row


def _rows(message: Message, lines: list[bytes]) -> str:
    """Name every row; returns what is wrong with the first bad one."""
    at, fault = message._at, ""
    for line in lines:
        spelling, colon, _ = line.partition(b":")
        name = _canonical.get(spelling) or _name_of(spelling)
        if not colon or name is None:
            fault = fault or (
                "Header field name that is not a token" if colon else "Header field without a colon"
            )
            continue
        if name not in at:
            at[name] = len(message._names)
        elif name in _ONCE:
            fault = fault or f"More than one {_ONCE[name]} header field"
        message._names.append(name)
        message._lines.append(line)
    return fault


def _start_line(message: Message) -> None:
    """Read Request-Line or Status-Line (RFC 3261 7.1, 7.2). Raises ParseError 400 or 505."""
    start = message._start
    if start[:4].upper() == b"SIP/":
        message.is_request = False
        status = _is_status_line(start)
        if not status:
            raise ParseError(400, "Malformed Status-Line")
        message.status, message._reason = int(status[1]), status[2] or b""
        return
    method, _, rest = start.partition(b" ")
    uri, _, version = rest.rpartition(b" ")
    if not is_token(method):
        raise ParseError(400, "Malformed Request-Line")
    message.method = METHODS.get(method) or method.decode()
    if version.upper() != b"SIP/2.0":
        if _is_version(version):
            raise ParseError(505, "Version Not Supported")
        raise ParseError(400, "Malformed Request-Line")
    if not _is_request_uri(uri):
        raise ParseError(400, "Malformed Request-URI")
    message.uri = uri


def _header(message: Message) -> None:
    """Read the header fields that every message needs (RFC 3261 8.1.1). Raises ParseError 400."""
    at, lines = message._at, message._lines
    for name in _MANDATORY:
        if name not in at:
            raise ParseError(400, f"Missing {_ONCE.get(name, 'Via')} header field")
    _top_via(message)
    _addresses(message)
    message.call_id = value_of(lines[at["call-id"]])
    if not _is_call_id(message.call_id):
        raise ParseError(400, "Malformed Call-ID header field")
    line = lines[at["cseq"]]
    message.cseq, method = cseq(line, line.index(b":") + 1)
    if not message.is_request:
        message.method = METHODS.get(method) or method.decode()
    elif method.decode() != message.method:
        raise ParseError(400, "CSeq method other than that of the request")
    if "max-forwards" in at:
        message.max_forwards = number(value_of(lines[at["max-forwards"]]), 255)
        if message.max_forwards < 0:
            raise ParseError(400, "Max-Forwards that is not a number up to 255")


def _top_via(message: Message) -> None:
    line = message._lines[message._at["via"]]
    message._via = Via(line, line.index(b":") + 1)


def _addresses(message: Message) -> None:
    line = message._lines[message._at["to"]]
    message.to_uri, message.to_tag = name_addr(line, line.index(b":") + 1, "To")
    line = message._lines[message._at["from"]]
    message.from_uri, message.from_tag = name_addr(line, line.index(b":") + 1, "From")


def _length(message: Message) -> None:
    """Hold Content-Length against what is there (RFC 3261 18.3). Raises ParseError 400."""
    if "content-length" not in message._at:
        return
    length = number(value_of(message._lines[message._at["content-length"]]), MAX_MESSAGE)
    if length < 0:
        raise ParseError(400, "Malformed Content-Length header field")
    end = message._body + length
    if end > len(message.raw):
        raise ParseError(400, "Content-Length larger than the message")
    if end < len(message.raw):
        message.raw = message.raw[:end]


def _answerable(message: Message) -> Message | None:
    """The message if a refusal may go back along its Via: neither a response nor an ACK."""
    if not message.is_request or message.method in ("", "ACK") or "via" not in message._at:
        return None
    line = message._lines[message._at["via"]]
    if not usable(line, line.index(b":") + 1):
        return None
    for read in (_top_via, _addresses):
        with suppress(ParseError, KeyError):
            read(message)
    return message
