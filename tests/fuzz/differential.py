"""Whether the compiled codec and its Python twin see a message alike, to the last octet."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from node.sip import _codec, codec_python
from node.sip.errors import ParseError

ATTRIBUTES = (
    "raw",
    "is_request",
    "method",
    "status",
    "reason",
    "uri",
    "cseq",
    "call_id",
    "branch",
    "sent_by",
    "via_host",
    "via_port",
    "via_transport",
    "via_count",
    "top_via",
    "from_tag",
    "to_tag",
    "from_uri",
    "to_uri",
    "max_forwards",
    "body",
    "key",
)
NAMES = (
    "via",
    "to",
    "route",
    "contact",
    "subject",
    "record-route",
    "x-odd",
    "session-expires",
    "content-length",
    "v",
    "unknownheader",
)
RESPONSE = (
    b"SIP/2.0 486 Busy\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=9\r\n"
    b"Call-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
)


def view(message: Any) -> dict[str, object]:
    """Everything the interface tells of a message and makes of it."""
    seen: dict[str, object] = {name: getattr(message, name) for name in ATTRIBUTES}
    seen["next_via"] = message.next_via()
    for name in NAMES:
        rows = (
            message.has(name),
            message.first(name),
            message.all(name),
            message.values(name),
            message.rows(name),
        )
        seen[f"rows of {name}"] = rows
    seen["reply"] = message.reply(
        404, "Not Found", b"t", message.via_host or b"192.0.2.1", 5060, b"X: y\r\n", b"body"
    )
    seen["reply 100"] = message.reply(100, "\u0434\u0430", b"", b"192.0.2.77", 65535)
    seen["reply unstamped"] = message.reply(200, "", b"t", b"", 0)
    return seen


def spliced(message: Any, response: Any) -> dict[str, object]:
    """What becomes of a message that was accepted."""
    seen: dict[str, object] = {"pop_via": message.pop_via(), "pop_via with": message.pop_via(b"X: y\r\n")}
    via = b"Via: SIP/2.0/UDP proxy;branch=z9hG4bKp"
    for drop in range(4):
        seen[f"forward {drop}"] = message.forward(
            b"sip:new", via, 69, b"192.0.2.77", 5070, drop, b"Record-Route: <r>\r\n"
        )
    seen["forward bare"] = message.forward(None, via, -1, b"", 0)
    removed = ("contact", "x-odd", "subject", "absent")
    seen["forward less"] = message.forward(None, via, 0, message.via_host, 1, 1, b"", removed)
    seen["forward less still"] = message.forward(
        b"sip:x", via, 9, b"::1", 1, 1, b"", ("via", "max-forwards", "route", "content-length")
    )
    seen["ack"] = message.ack(response)
    seen["cancel"] = message.cancel(b"Reason: SIP;cause=200\r\n")
    return seen


def outcome(codec: ModuleType, kind: type, raw: bytes) -> dict[str, object]:
    """What a codec makes of ``raw``: a view of the message, or of the refusal."""
    try:
        message = codec.parse(raw)
    except ParseError as refusal:
        refused: dict[str, object] = {"refused": (refusal.status, refusal.reason)}
        return refused if refusal.message is None else {**refused, **view(refusal.message)}
    assert type(message) is kind, "the compiled codec refused what its twin accepts"
    return {**view(message), **spliced(message, codec.parse(RESPONSE))}


def disagreement(raw: bytes) -> str:
    """Where the two differ about ``raw``, "" if nowhere."""
    ours = outcome(_codec, _codec.Message, raw)
    theirs = outcome(codec_python, codec_python.Message, raw)
    length = (_codec.body_length(raw), codec_python.body_length(raw))
    for name in ours.keys() | theirs.keys():
        if ours.get(name) != theirs.get(name):
            return f"{name}: compiled {ours.get(name)!r}, Python {theirs.get(name)!r}"
    if length[0] != length[1]:
        return f"body_length: {length}"
    for at, most in ((0, 1 << 20), (0, 300), (len(raw) // 2, 1 << 20), (len(raw), 1)):
        ends = (_codec.whole(raw, at, most), codec_python.whole(raw, at, most))
        if ends[0] != ends[1]:
            return f"whole from {at}: {ends}"
    return ""
