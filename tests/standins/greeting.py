"""The TLS handshake of one connection."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any


class Greeting:
    """Stands in for an SSLContext where asyncio wants one.

    Where a handshake fails, asyncio (3.11) closes the connection and drops the alert that OpenSSL has
    written. A client must see it: "unknown ca" and its like are how a certificate is refused.
    """

    def __init__(self, context: ssl.SSLContext, connection: socket.socket) -> None:
        self._context = context
        self._connection = connection

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **more: Any) -> ssl.SSLObject:
        tls = self._context.wrap_bio(incoming, outgoing, **more)
        handshake = tls.do_handshake

        def do_handshake() -> None:
            try:
                handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._connection.send(outgoing.read())
                raise

        tls.do_handshake = do_handshake  # type: ignore[method-assign]
        return tls
