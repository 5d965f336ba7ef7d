"""One connection as a stream of SIP: messages cut out of it, keep-alives answered, deadlines kept."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from node.sip.errors import ParseError
from node.sip.framing import PING, PONG, Framer
from node.transport.connection import CONNECTING, HANDSHAKE, OPEN, READ, Connection, cause
from node.transport.flow import Listener

if TYPE_CHECKING:
    from node.transport.connections import Connections


class Stream(Connection):
    """SIP over TCP (RFC 3261 18.3, RFC 5626 3.5.1)."""

    __slots__ = ("_framer", "_partial")

    def __init__(
        self, connections: Connections, listener: Listener, sock: socket.socket, peer: tuple[str, int]
    ) -> None:
        super().__init__(connections, listener, sock, peer)
        self._framer = Framer(connections.limits.max_message)
        self._partial = 0.0  # since when a message is incomplete, 0 if none is

    def _read(self) -> bytes | None:
        """What came; b"" at the end of the stream, None if nothing came after all."""
        try:
            return self._sock.recv(READ)
        except BlockingIOError:
            return None

    def _readable(self) -> None:
        if self._state != OPEN:
            return
        try:
            data = self._read()
        except OSError as error:
            self.abort(f"read: {cause(error)}")
            return
        if data:
            self._heard = self._now()
            self._take(data)
        elif data is not None:
            self.close("closed by the peer")

    def _take(self, data: bytes) -> None:
        """Hand over what ``data`` completes."""
        framer = self._framer
        try:
            messages = framer.feed(data)
        except ParseError as error:
            self._broken(error)
            return
        received = self._connections.received
        for raw in messages:
            if len(raw) <= len(PING):
                if raw == PING:
                    self.send(PONG)
                continue
            try:
                received(raw, self)
            except Exception:
                self._connections.faults.caught(self)
            if self.closed:
                return
        if framer.fault is not None:
            self._broken(framer.fault)
        elif not framer.pending:
            self._partial = 0.0
        elif messages or not self._partial:
            self._partial = self._heard
            self._connections.deadlines.put_earlier(self, self._heard + self._limits.message_timeout)

    def _broken(self, error: ParseError) -> None:
        try:
            self._connections.broken(error, self)
        except Exception:
            self._connections.faults.caught(self)
        self._linger = True
        self.close(str(error))

    def expire(self, now: float) -> float | None:
        """Ends what took too long in its state; an open connection gets its next deadline."""
        limits, state = self._limits, self._state
        if state == CONNECTING:
            self.abort(f"connect: no answer within {limits.connect_timeout:g} s")
        elif state == HANDSHAKE:
            self.abort(f"TLS handshake not done within {limits.handshake_timeout:g} s")
        elif state != OPEN:
            self.drop()
        elif self._partial and now - self._partial >= limits.message_timeout:
            self.close(f"message not complete within {limits.message_timeout:g} s")
        elif now - self._heard >= limits.idle_timeout:
            self.close(f"no traffic for {limits.idle_timeout:g} s")
        else:
            due = self._heard + limits.idle_timeout
            return min(due, self._partial + limits.message_timeout) if self._partial else due
        return None
