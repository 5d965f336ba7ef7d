"""What the codec raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.sip.message import Message


class ParseError(ValueError):
    """A message, URI or header field value that RFC 3261 refuses.

    ``status`` and ``reason`` are the answer it deserves; ``reason`` is one precise sentence without line
    ends. ``message`` is the answerable part: its ``reply()`` works with whatever header fields could be read.
    It is None where silence is due: a response, an ACK, a request without a usable Via, or no message at all.
    """

    def __init__(self, status: int, reason: str, message: Message | None = None) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"
