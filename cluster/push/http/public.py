"""Connections that must lead into the Internet, whatever a name resolves to.

The URL of a Web Push subscription comes from whoever registers it. Its host is looked at as it is written,
and again here, as the address that is connected to: a name may resolve to another one the second time.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pycurl

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def reachable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of the Internet, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return reachable(inner)
    return address.is_global and not address.is_multicast


def open_public(_purpose: int, address: Any) -> Any:
    """For libcurl: a socket to `address`, or none where that is not of the Internet."""
    family, kind, protocol, (host, *_) = address
    try:
        allowed = reachable(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        allowed = False
    return socket.socket(family, kind, protocol) if allowed else pycurl.SOCKET_BAD
