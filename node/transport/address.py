"""Listening addresses as the configuration writes them, and what peers are told for them."""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import Final, NamedTuple

TRANSPORTS: Final = ("udp", "tcp", "tls")
DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}


class ListenAddress(NamedTuple):
    """Transport, IP address without brackets, port (0: any free one)."""

    transport: str
    host: str
    port: int

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return family_of(self.host)


def parse_listen(text: str) -> ListenAddress:
    """``"tls:[::1]:5061"`` as its parts, the transport's port if none. ValueError names the fault."""
    transport, _, rest = text.partition(":")
    if transport not in TRANSPORTS:
        raise ValueError(f'"{text}": expected udp:, tcp: or tls: first, not "{transport}"')
    host, port = split_host(rest)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f'"{text}": "{host}" is not an IP address') from None
    if address.version == 6 and not rest.startswith("["):
        raise ValueError(f'"{text}": an IPv6 address stands in brackets')
    return ListenAddress(transport, str(address), DEFAULT_PORTS[transport] if port is None else port)


def split_host(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[::1]:port`` or ``::1`` as host and port. ValueError names the fault."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f'"{text}": expected [address] or [address]:port')
        port = rest[1:] if rest else None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, None
    if not host:
        raise ValueError(f'"{text}": the address is missing')
    if port is None:
        return host, None
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f'"{text}": "{port}" is not a port from 0 to 65535')
    return host, int(port)


def family_of(host: str) -> socket.AddressFamily:
    """AF_INET6 for an IPv6 address, else AF_INET."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def is_loopback(host: str) -> bool:
    """True for 127.0.0.0/8 and ::1."""
    return host.startswith("127.") or host == "::1"


def shown_address(host: str) -> str:
    """What peers are told for a listener on ``host``: for a wildcard the address of the default route."""
    if not ipaddress.ip_address(host).is_unspecified:
        return host
    family = family_of(host)
    far = "2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1"
    with socket.socket(family, socket.SOCK_DGRAM) as probe:  # connecting UDP sends nothing
        try:
            probe.connect((far, 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"


@lru_cache(maxsize=65_536)
def is_address(host: str) -> bool:
    """True for an IPv4 or IPv6 literal without brackets (`ipaddress` would take ten times as long)."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except (OSError, ValueError):
        return False
    return True
