"""Route information preprocessing (RFC 3261 16.4) and what the Route values ask for.

Every node record-routes with two values, one per side, when the sides differ (transport,
address, or a flow token). So a request in a dialog names us twice, and the last value that
names us speaks of the side it is to leave by: its user part is the flow token, if any.
"""

from __future__ import annotations

from node.identity import Identity
from node.request import Request
from node.sip.address import parse_address
from node.sip.errors import ParseError
from node.sip.uri import parse_uri
from node.stages import TAKEN, Verdict

CACHE = 16_384


class LooseRoute:
    """Takes our own values off the Route."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._known: dict[bytes, tuple[bytes, bool, str, bool]] = {}

    def __call__(self, request: Request) -> Verdict:
        """Sets drop_routes, flow_token and next_route; 400 for a Route that cannot be read."""
        message = request.message
        if not message.has("route"):
            return None
        values = message.values("route")
        total = len(values)
        try:
            strict = request.uri.find(b";lr") >= 0 and self._unstrict(request, values)
            for index, value in enumerate(values):
                uri, ours, user, loose = self._known.get(value) or self._look(value)
                if not ours:
                    request.next_route = uri
                    request.flow_token = ""
                    if strict:
                        request.extra_routes = tuple(self._look(rest)[0] for rest in values[index:])
                    if not loose:
                        self._to_strict_router(request, total, values[index + 1 :])
                    break
                request.drop_routes = index + 1
                request.flow_token = user
        except ParseError as error:
            request.reply(error.status, request.now, error.reason)
            return TAKEN
        if strict:
            request.drop_routes = total
        return None

    def _look(self, value: bytes) -> tuple[bytes, bool, str, bool]:
        raw = parse_address(value).uri
        uri = parse_uri(raw)
        if len(self._known) >= CACHE:
            self._known.clear()
        known = self._known[value] = (raw, self._identity.names_us(raw), uri.user or "", "lr" in uri.params)
        return known

    def _unstrict(self, request: Request, values: list[bytes]) -> bool:
        """A strict router before us put our URI into the Request-URI (16.4, first rule)."""
        uri = request.uri
        if not self._identity.names_us(uri):
            return False
        request.flow_token = parse_uri(uri).user or ""
        request.uri = self._look(values.pop())[0]
        return True

    def _to_strict_router(self, request: Request, total: int, rest: list[bytes]) -> None:
        """The next hop is a strict router: it wants to be in the Request-URI (16.6 step 6)."""
        request.extra_routes = (*(self._look(value)[0] for value in rest), request.uri)
        request.drop_routes = total
        request.uri = request.next_route
