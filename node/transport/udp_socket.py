"""Opening a UDP socket as SIP wants it, and what the kernel counts about it."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from node.transport.address import ListenAddress

log = logging.getLogger("clarion.transport")

SO_RCVBUFFORCE: Final = 33
SEND_BUFFER: Final = 1_048_576


def open_socket(address: ListenAddress, receive_buffer: int) -> socket.socket:
    """A bound non-blocking socket. Raises OSError if the address cannot be had."""
    sock = socket.socket(address.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        _enlarge(sock, receive_buffer)
        sock.bind((address.host, address.port))
    except BaseException:
        sock.close()
        raise
    return sock


def _enlarge(sock: socket.socket, size: int) -> None:
    """A burst must fit while the loop is busy; beyond net.core.rmem_max only the administrator may go."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    got = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # Linux doubles what it is told
    if got < size:
        log.warning(
            "[transport] udp_receive_buffer: the kernel grants %d of %d bytes; raise net.core.rmem_max",
            got,
            size,
        )


def drops_of(sock: socket.socket) -> int:
    """The drop counter of a socket, from /proc; 0 where that cannot be read."""
    table = "/proc/net/udp6" if sock.family == socket.AF_INET6 else "/proc/net/udp"
    try:
        inode = str(os.fstat(sock.fileno()).st_ino)
        with Path(table).open() as rows:
            return next((int(row.split()[12]) for row in rows if row.split()[9] == inode), 0)
    except (OSError, IndexError, ValueError):
        return 0
