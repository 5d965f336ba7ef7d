"""One TCP or TLS listener: takes connections in bounded helpings."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from node.transport.flow import Listener

if TYPE_CHECKING:
    from node.transport.address import ListenAddress
    from node.transport.connections import Connections

log = logging.getLogger("clarion.transport")

HELPING: Final = 64  # connections accepted in a row, then others have their turn
PAUSE: Final = 1.0  # seconds without accepting when the process has no descriptors left
_BACKLOG: Final = 1024
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """A listening socket. Opens at once; raises OSError if it cannot."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: ListenAddress,
        connections: Connections,
        allowed: Callable[[str], bool] | None = None,
    ) -> None:
        """``allowed`` says from which IP addresses connections are taken; None from all."""
        self._loop = loop
        self._connections = connections
        self._allowed = allowed
        self._socket = _listening(address)
        host, port = self._socket.getsockname()[:2]
        self.listener = Listener(address.transport, host, port)

    def start(self, listener: Listener) -> None:
        """Begin to accept; ``listener`` says what peers are told."""
        self.listener = listener
        self._loop.add_reader(self._socket.fileno(), self._acceptable)

    def _acceptable(self) -> None:
        for _ in range(HELPING):
            try:
                sock, peer = self._socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._pause(error)
                    return
                continue  # that one is gone again
            self._take(sock, (peer[0], peer[1]))

    def _take(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        if self._allowed is not None and not self._allowed(peer[0]):
            self._connections.refused += 1
            sock.close()
            return
        try:
            self._connections.accept(self.listener, sock, peer)
        except OSError:
            sock.close()

    def _pause(self, error: OSError) -> None:
        log.error("%s: cannot accept: %s; raise the limit of open files", self.listener, error.strerror)
        self._loop.remove_reader(self._socket.fileno())
        self._loop.call_later(PAUSE, self._resume)

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket.fileno(), self._acceptable)

    def close(self) -> None:
        """Stop listening."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()


def _listening(address: ListenAddress) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address.host, address.port))
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
