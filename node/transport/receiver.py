"""Who gets what the transports receive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from node.sip.errors import ParseError
    from node.transport.flow import Flow


class Receiver(Protocol):
    """The one consumer of all messages of a node. What it raises is logged and counted, never fatal."""

    def received(self, raw: bytes, flow: Flow) -> None:
        """One SIP message, as it came; keep-alives and STUN never get here."""

    def broken(self, error: ParseError, flow: Flow) -> None:
        """A stream lost its framing. What is sent to it now still leaves; the transport closes it after."""
