"""Record-Route (RFC 3261 16.6 step 4, RFC 5658) with flow tokens (RFC 5626 5.3).

One value when both sides of the node look the same; two when transport, address or a flow
token differ, the outgoing side first. A token stands where the peer can only be reached over
the flow it opened: every connection of a phone, and UDP from behind a NAT.
"""

from __future__ import annotations

from node.sip.codec import Message
from node.transport.flow import Flow, Listener
from node.transport.token import FlowTokens


class RecordRoute:
    """Makes the lines; remembers those without a token."""

    def __init__(self, tokens: FlowTokens) -> None:
        self._tokens = tokens
        self._plain: dict[tuple[Listener, Listener], bytes] = {}

    def lines(self, message: Message, came: Flow, leaves: Flow, out_token: str) -> bytes:
        """Record-Route lines, each with CRLF, for a request between two flows."""
        in_token = self._tokens.token(came) if needs_token(message, came) else ""
        if not in_token and not out_token:
            return self._without_token(came.listener, leaves.listener)
        return _line(leaves.listener, out_token) + _line(came.listener, in_token)

    def _without_token(self, came: Listener, leaves: Listener) -> bytes:
        known = self._plain.get((came, leaves))
        if known is None:
            known = _line(leaves, "")
            if came is not leaves:
                known += _line(came, "")
            self._plain[(came, leaves)] = known
        return known


def needs_token(message: Message, flow: Flow) -> bool:
    """True when the sender of a request can only be reached over its own flow."""
    if flow.listener.internal:
        return False
    if flow.reliable:
        return True
    contact = message.first("contact")
    # find, not in: `in` on bytes raises and drops an exception before it searches (3 times the cost)
    return contact is not None and (contact.find(flow.received) < 0 or contact.find(b";ob") >= 0)


def _line(listener: Listener, token: str) -> bytes:
    uri = listener.uri
    if token:
        uri = b"sip:" + token.encode() + b"@" + uri[4:]
    return b"Record-Route: <" + uri + b";lr>\r\n"
