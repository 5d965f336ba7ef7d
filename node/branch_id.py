"""Branches of our own: unique, recognisable, and telling a loop from a spiral.

A branch is the magic cookie, the node's random prefix, a counter, and a hash of what the
request looked like when it came (RFC 3261 16.6 step 8). When a request comes back with one
of our Via values and the same hash, nothing has changed on the way: it loops (RFC 5393 4.2).
`hash` of a tuple of bytes is SipHash keyed per process, so branches cannot be guessed.
"""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.sip.codec import Message

MASK = 0xFFFFFFFFFFFFFFFF


class BranchIds:
    """Makes the branches of one node's life."""

    __slots__ = ("_count", "prefix")

    def __init__(self) -> None:
        self.prefix = b"z9hG4bK" + secrets.token_hex(4).encode()
        self._count = itertools.count(1)

    def make(self, message: Message) -> bytes:
        """A new branch for a copy of this request."""
        seen = (message.uri, message.call_id, message.from_tag, message.cseq, message.first("route"))
        return b"%b.%x.%x" % (self.prefix, next(self._count), hash(seen) & MASK)

    def loops(self, message: Message) -> bool:
        """True when one of the Via values is ours with the same fingerprint."""
        if message.via_count < 2 or self.prefix not in message.raw:
            return False
        seen = (message.uri, message.call_id, message.from_tag, message.cseq, message.first("route"))
        end = b".%x" % (hash(seen) & MASK)
        return any(self._ours(via, end) for via in message.values("via"))

    def _ours(self, via: bytes, end: bytes) -> bool:
        """True when a Via value has a branch of ours that ends so."""
        for param in via.split(b";")[1:]:
            name, _, value = param.partition(b"=")
            if name.strip().lower() == b"branch":
                branch = value.strip()
                return branch.startswith(self.prefix) and branch.endswith(end)
        return False
