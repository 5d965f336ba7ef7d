"""Sockets of media ports: bound, non-blocking, marked with their DSCP."""

from __future__ import annotations

import errno
import socket
from typing import Final

from relay.ports import PortPool, PortsExhausted

_TRIES: Final = 100  # ports that another program holds
_TAKEN: Final = (errno.EADDRINUSE, errno.EACCES)


def open_socket(host: str, port: int, dscp: int = 46, buffer: int = 0) -> socket.socket:
    """A UDP socket at an address. `dscp` 0 to 63; `buffer`: octets of receive buffer, 0 for the system's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
        else:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
        if buffer:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        opened.bind(socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM, 0, socket.AI_NUMERICHOST)[0][4])
    except BaseException:
        opened.close()
        raise
    return opened


def open_media(host: str, pool: PortPool, now: float, mux: bool, dscp: int = 46) -> list[socket.socket]:
    """One socket (`mux`), or one for RTP and one for RTCP on the next port. PortsExhausted if none is free.

    A port that another program holds rests like a used one, and others are tried.
    """
    for _ in range(_TRIES):
        first = pool.single(now) if mux else pool.pair(now)
        ports = [first] if mux else [first, first + 1]
        opened: list[socket.socket] = []
        try:
            opened.extend(open_socket(host, port, dscp) for port in ports)
        except OSError as error:
            for one in opened:
                one.close()
            for port in ports:
                pool.release(port, now)
            if error.errno not in _TAKEN:
                raise
        else:
            return opened
    raise PortsExhausted(f"{_TRIES} ports of {host} are held by others")
