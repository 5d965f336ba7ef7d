"""The addresses that media is received at, each with its ports."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from relay.ports import PortPool, PortsExhausted
from relay.sockets import open_media, open_socket


class Pools:
    """One address for each family at most; sockets are opened at it and their ports given back."""

    def __init__(
        self, hosts: Iterable[str], first: int, last: int, *, rest: float = 30.0, dscp: int = 46
    ) -> None:
        """`hosts`: our IP addresses. `first` to `last`: ports of each. `rest`: seconds between two uses."""
        self._dscp = dscp
        self._pools: dict[str, PortPool] = {}
        self._hosts: dict[int, str] = {}
        for host in hosts:
            self._pools[host] = PortPool(first, last, rest)
            self._hosts.setdefault(6 if ":" in host else 4, host)

    @property
    def families(self) -> frozenset[int]:
        """4, 6 or both: where phones can be served."""
        return frozenset(self._hosts)

    @property
    def used(self) -> int:
        """Ports in use, of all addresses."""
        return sum(pool.used for pool in self._pools.values())

    @property
    def size(self) -> int:
        """Ports there are, of all addresses."""
        return sum(pool.size for pool in self._pools.values())

    def open(self, family: int, mux: bool, now: float) -> list[socket.socket]:
        """Sockets for one side of a media line. PortsExhausted where no port is free, or no such address."""
        host = self._hosts.get(family)
        if host is None:
            raise PortsExhausted(f"no address of IPv{family}")
        return open_media(host, self._pools[host], now, mux, self._dscp)

    def open_at(self, host: str, ports: list[int], now: float) -> list[socket.socket]:
        """Sockets at these very ports. PortsExhausted or OSError if one cannot be had."""
        opened: list[socket.socket] = []
        try:
            for port in ports:
                if host in self._pools:
                    self._pools[host].take(port, now)
                opened.append(open_socket(host, port, self._dscp))
        except BaseException:
            if host in self._pools and len(ports) > len(opened):
                self._give_back(host, ports[len(opened)], now)
            self.close(opened, now)
            raise
        return opened

    def close(self, sockets: Iterable[socket.socket], now: float) -> None:
        """Close sockets of ours; their ports rest."""
        for one in sockets:
            host, port = one.getsockname()[:2]
            one.close()
            self._give_back(host, port, now)

    def _give_back(self, host: str, port: int, now: float) -> None:
        pool = self._pools.get(host)
        if pool is not None and pool.uses(port):
            pool.release(port, now)
