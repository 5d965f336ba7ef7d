"""One TLS connection: a Stream with a handshake before and SSLSocket's ways of saying "later"."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final

from node.transport.connection import GONE, HANDSHAKE
from node.transport.flow import Listener
from node.transport.stream import Stream

if TYPE_CHECKING:
    from node.transport.connections import Connections

_RECORD: Final = 16_384  # longest TLS record: one read takes a whole one, so nothing stays inside OpenSSL


class TlsStream(Stream):
    """A TLS connection; ``server_name`` is whom we expect on one that we open, "" on one that we accept."""

    __slots__ = ("_context", "_server_name", "_tls")

    def __init__(
        self,
        connections: Connections,
        listener: Listener,
        sock: socket.socket,
        peer: tuple[str, int],
        context: ssl.SSLContext,
        server_name: str,
    ) -> None:
        super().__init__(connections, listener, sock, peer)
        self._context = context
        self._server_name = server_name
        self._tls: ssl.SSLSocket

    def established(self) -> None:
        """TCP is up: begin the handshake."""
        self._state = HANDSHAKE
        self._connections.deadlines.put(self, self._now() + self._limits.handshake_timeout)
        try:
            self._sock = self._tls = self._context.wrap_socket(
                self._sock,
                server_side=not self._server_name,
                do_handshake_on_connect=False,
                server_hostname=self._server_name or None,
            )
        except (OSError, ValueError) as error:  # reset already, or a server name that is none
            self.abort(f"TLS: {error}")
            return
        self._poller.add_reader(self._fd, self._shake)
        self._shake()

    def _shake(self) -> None:
        if self._state != HANDSHAKE:
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._poller.remove_writer(self._fd)
        except ssl.SSLWantWriteError:
            self._poller.add_writer(self._fd, self._shake)
        except OSError as error:
            self.abort(f"TLS handshake: {cause(error)}")
        else:
            self._poller.remove_writer(self._fd)
            self._open()

    def _write(self, data: bytes | memoryview) -> int:
        try:
            return self._tls.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def _read(self) -> bytes | None:
        try:
            data = self._tls.recv(_RECORD)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLWantWriteError:  # a key update that the kernel does not take yet
            self._want_writer(True)
            return None
        if self._tls.pending():
            self._loop.call_soon(self._readable)
        return data

    def _writable(self) -> None:
        super()._writable()
        self._readable()

    def _shutdown(self) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        super()._shutdown()

    def _discard(self) -> None:
        try:
            data = self._tls.recv(_RECORD)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (OSError, ValueError):
            data = b""
        if not data:
            self.drop()

    def drop(self) -> None:
        """Say close_notify if the kernel takes it, and close the socket."""
        if self._state not in (GONE, HANDSHAKE) and hasattr(self, "_tls"):
            try:
                self._tls.unwrap()
            except (OSError, ValueError):
                pass
        super().drop()


def cause(error: OSError) -> str:
    """Why TLS failed, as a person would say it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return error.strerror or type(error).__name__
