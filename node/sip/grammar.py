"""The pieces of RFC 3261 section 25 that the codec reads, as regular expressions, and their use.

Everything here is linear in its input: what repeats one class of octets is possessive (``*+``), and what
repeats a group begins each round and each alternative with an octet of its own, so going back never finds
another way. (Groups are not made possessive: CPython before 3.11.5 then goes on behind a round that failed
half-way.) Inside a header field, CR and LF occur only as part of a fold (the codec refuses bare ones), hence
both count as white space. The compiled codec implements the same rules by hand; a property test holds the two
together.
"""

from __future__ import annotations

import re
from typing import Final

from node.sip.errors import ParseError

WS: Final = rb"[ \t\r\n]*+"
WHITE: Final = b" \t\r\n"
TOKEN: Final = rb"[A-Za-z0-9\-.!%*_+`'~]++"
QUOTED: Final = rb'"(?:[^"\\]++|\\.)*"'
PARAM: Final = (
    rb";"
    + WS
    + rb"("
    + TOKEN
    + rb")"
    + WS
    + rb"(?:="
    + WS
    + rb"("
    + QUOTED
    + rb'|[^ \t\r\n;,"]*+)'
    + WS
    + rb")?"
)
PARAMS: Final = (
    rb"((?:"
    + PARAM.replace(rb"(" + TOKEN, rb"(?:" + TOKEN).replace(rb"(" + QUOTED, rb"(?:" + QUOTED)
    + rb")*)"
)

is_token = re.compile(TOKEN).fullmatch
params_in = re.compile(PARAM, re.S).finditer

_FOLD = re.compile(rb"[ \t]*\r\n[ \t]+")
# What may hide a comma, or a comma. An unterminated quote or bracket hides the rest.
_COMMA = re.compile(rb'"(?:[^"\\]++|\\.)*(?:"|\\?)|<[^>]*+>?|(,)', re.S)
_NAME_ADDR = re.compile(rb'(?:[^"<;]++|' + QUOTED + rb')*<([^<>"]*+)>' + WS + PARAMS, re.S)
_ADDR_SPEC = re.compile(WS + rb'([^ \t\r\n;,"<>]++)' + WS + PARAMS, re.S)
_CSEQ = re.compile(WS + rb"([0-9]++)[ \t\r\n]++(" + TOKEN + rb")" + WS)


def unfold(value: bytes) -> bytes:
    """A value on one line: each fold becomes one space (RFC 3261 7.3.1)."""
    return _FOLD.sub(b" ", value) if b"\r" in value else value


def next_comma(text: bytes, at: int) -> int:
    """Index of the next comma outside quotes and angle brackets, or -1."""
    for found in _COMMA.finditer(text, at):
        if found.start(1) >= 0:
            return found.start(1)
    return -1


def split(text: bytes, at: int = 0) -> list[bytes]:
    """The comma-separated values of a row from ``at`` on: trimmed, unfolded, empty ones left out."""
    values = []
    while True:
        comma = next_comma(text, at)
        value = text[at : comma if comma >= 0 else len(text)].strip(WHITE)
        if value:
            values.append(unfold(value))
        if comma < 0:
            return values
        at = comma + 1


def number(text: bytes, limit: int) -> int:
    """A non-negative decimal up to ``limit`` (leading zeros allowed), or -1 if it is anything else."""
    digits = text.strip(WHITE)
    if not digits.isdigit():
        return -1
    digits = digits.lstrip(b"0")
    if len(digits) > 10:
        return -1
    value = int(digits or b"0")
    return value if value <= limit else -1


def name_addr(line: bytes, at: int, name: str) -> tuple[bytes, bytes]:
    """URI and tag of a From or To row whose value begins at ``at`` (RFC 3261 20.20, 20.39).

    A display name may hold anything but an unbalanced quote; without angle brackets every parameter belongs
    to the header field. Raises ParseError 400 naming the header field.
    """
    found = _NAME_ADDR.fullmatch(line, at) or _ADDR_SPEC.fullmatch(line, at)
    uri = found[1].strip(WHITE) if found else b""
    if not found or not uri:
        raise ParseError(400, f"Malformed {name} header field")
    for param in params_in(line, found.start(2)):
        if param[1].lower() == b"tag":
            return uri, param[2] or b""
    return uri, b""


def cseq(line: bytes, at: int) -> tuple[int, bytes]:
    """Number, below 2**31 (RFC 3261 8.1.1.5), and method of a CSeq row. Raises ParseError 400."""
    found = _CSEQ.fullmatch(line, at)
    if not found:
        raise ParseError(400, "Malformed CSeq header field")
    value = number(found[1], 2**31 - 1)
    if value < 0:
        raise ParseError(400, "CSeq number not below 2**31")
    return value, found[2]
