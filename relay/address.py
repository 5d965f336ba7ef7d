"""Addresses of media: an IP address and a port, written as everywhere else."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple


class Address(NamedTuple):
    """Where datagrams come from or go to. `host` is an IP address in its shortest form, with scope if any."""

    host: str
    port: int

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.host else 4

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(host: str, port: int) -> Address:
    """The address in its shortest form; ValueError if `host` is no IP address or `port` no port."""
    parsed = ipaddress.ip_address(host)
    if not 0 <= port <= 65535:
        raise ValueError(f"{port} is no port")
    return Address(str(parsed), port)


def reachable(host: str) -> bool:
    """Whether one host can be there: not unspecified, multicast or broadcast."""
    parsed = ipaddress.ip_address(host)
    return not (parsed.is_unspecified or parsed.is_multicast or host == "255.255.255.255")
