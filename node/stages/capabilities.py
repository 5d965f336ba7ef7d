"""OPTIONS to the proxy itself (RFC 3261 11)."""

from __future__ import annotations

from node.identity import Identity
from node.request import Request
from node.sip.uri import parse_uri
from node.stages import TAKEN, Verdict

ANSWER = (
    b"Accept: */*\r\n"
    b"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REGISTER, MESSAGE, REFER, SUBSCRIBE, NOTIFY, PUBLISH, "
    b"INFO, UPDATE, PRACK\r\n"
    b"Supported: path, outbound, gruu\r\n"
)
EXTENSIONS = (b"path", b"outbound", b"gruu")


class Capabilities:
    """Answers who asks whether this node is there."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    @staticmethod
    def concerns(method: str) -> bool:
        """OPTIONS only."""
        return method == "OPTIONS"

    def __call__(self, request: Request) -> Verdict:
        """200 when the Request-URI has no user and names us; 420 if it requires what we lack."""
        if request.next_route or request.flow_token:
            return None
        uri = parse_uri(request.uri)
        if uri.user or not (self._identity.serves(uri.host) or self._identity.names_us(request.uri)):
            return None
        unknown = [name for name in request.message.values("require") if name.lower() not in EXTENSIONS]
        if unknown:  # here the node is the one who is asked, and must know them (8.2.2.3)
            request.reply(420, request.now, insert=b"Unsupported: " + b", ".join(unknown) + b"\r\n")
            return TAKEN
        request.reply(200, request.now, insert=ANSWER)
        return TAKEN
