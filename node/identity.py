"""Which names mean this node, and which addresses of record are served here.

Two questions that every request asks are answered from one cached look-up: does a URI
name one of our listeners (then a Route value is ours), and does it name a user of a
domain of ours (then the location service knows where the user is).
"""

from __future__ import annotations

from collections.abc import Iterable

from node.sip.errors import ParseError
from node.sip.uri import Uri, parse_uri
from node.transport.address import is_address
from node.transport.flow import Listener

CACHE = 65_536
DEFAULT_PORTS = {"sip": 5060, "sips": 5061}


class Identity:
    """Names and domains of a node. IP literals stand for its first named domain."""

    def __init__(self, name: str, domains: Iterable[str], listeners: Iterable[Listener]) -> None:
        self.name = name
        self.any_domain = False
        named: list[str] = []
        for domain in domains:
            if domain == "*":
                self.any_domain = True
            else:
                named.append(domain.lower().strip("[]"))
        self.domains = frozenset(named)
        self.primary = next((domain for domain in named if not is_address(domain)), named[0] if named else "")
        self._addresses: set[tuple[str, int]] = set()
        self._hosts: set[str] = set()
        self.ports: set[int] = set()
        for listener in listeners:
            self._add(listener)
        self._aors: dict[bytes, str | None] = {}
        self._ours: dict[bytes, bool] = {}

    def _add(self, listener: Listener) -> None:
        for host in {listener.host, listener.advertise_host}:
            self._hosts.add(host.lower().strip("[]"))
            for port in {listener.port, listener.advertise_port}:
                self._addresses.add((host.lower().strip("[]"), port))
                self.ports.add(port)

    def names_us(self, raw: bytes) -> bool:
        """True when a Route value's URI is one of our listeners."""
        known = self._ours.get(raw)
        if known is None:
            known = self._names_us(raw)
            if len(self._ours) >= CACHE:
                self._ours.clear()
            self._ours[raw] = known
        return known

    def _names_us(self, raw: bytes) -> bool:
        try:
            uri = parse_uri(raw)
        except ParseError:
            return False
        port = uri.port or DEFAULT_PORTS.get(uri.scheme, 5060)
        if (uri.host, port) in self._addresses:
            return True
        # A phone that was told only the domain puts that into its Route.
        return uri.host in self.domains and not is_address(uri.host) and (not uri.port or port in self.ports)

    def aor(self, raw: bytes) -> str | None:
        """The address of record that a URI means, None if its domain is not served here.

        Raises ParseError (400, 416) for a URI that cannot be read.
        """
        try:
            return self._aors[raw]
        except KeyError:
            pass
        found = self._aor(parse_uri(raw))
        if len(self._aors) >= CACHE:
            self._aors.clear()
        self._aors[raw] = found
        return found

    def _aor(self, uri: Uri) -> str | None:
        if uri.scheme not in DEFAULT_PORTS or not uri.user:
            return None
        try:
            uri.aor.encode()
        except UnicodeEncodeError:
            raise ParseError(400, "URI that is not UTF-8") from None
        if uri.port and uri.port not in self.ports and uri.port != DEFAULT_PORTS[uri.scheme]:
            return None
        host = uri.host
        if host in self.domains or host in self._hosts:
            if host != self.primary and is_address(host):
                return uri.aor.rpartition("@")[0] + "@" + self.primary
            return uri.aor
        return uri.aor if self.any_domain else None

    def serves(self, host: str) -> bool:
        """True for a domain of ours."""
        return self.any_domain or host in self.domains or host in self._hosts
