"""One TCP connection as a socket: opening, writing within a bound, closing in order.

Plain non-blocking sockets: for TLS this costs half of what the event loop's own transports cost. A connection
goes through the states below in order, and may fall to GONE from each.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from node.transport.flow import Flow, Listener

if TYPE_CHECKING:
    from node.transport.connections import Connections

CONNECTING: Final = 0  # ours, not yet accepted by the peer
HANDSHAKE: Final = 1  # TLS
OPEN: Final = 2
CLOSING: Final = 3  # told to close, output left
LINGERING: Final = 4  # output written; waits for the peer, lest a reset overtakes our last answer
GONE: Final = 5

READ: Final = 65_536


class StreamLimits(NamedTuple):
    """Bounds of one connection; seconds and octets."""

    max_message: int = 65_536
    connect_timeout: float = 5.0
    handshake_timeout: float = 10.0
    message_timeout: float = 30.0  # from the first octet of a message to its last
    idle_timeout: float = 3600.0
    close_timeout: float = 2.0  # for the output that is left
    send_queue: int = 1_048_576


class Connection(Flow):
    """A TCP connection, opened by the peer or by us. What is read is the business of Stream."""

    __slots__ = (
        "_connections",
        "_fd",
        "_heard",
        "_limits",
        "_linger",
        "_out",
        "_poller",
        "_queued",
        "_sock",
        "_state",
        "_writing",
        "bucket",
    )

    def __init__(
        self, connections: Connections, listener: Listener, sock: socket.socket, peer: tuple[str, int]
    ) -> None:
        super().__init__(connections.loop, listener, *peer, serial=next(connections.serials))
        self._connections = connections
        self._limits = connections.limits
        self._poller = connections.poller
        self._sock = sock
        self._fd = sock.fileno()
        self._out: list[bytes] = []
        self._queued = 0
        self._state = CONNECTING
        self._writing = False  # the loop tells us when the kernel takes more
        self._linger = False
        self._heard = 0.0
        self.bucket = 0

    def _readable(self) -> None:
        raise NotImplementedError

    def expire(self, now: float) -> float | None:
        """A deadline passed (node.transport.deadlines): the next one, if any."""
        raise NotImplementedError

    def _now(self) -> float:
        return self._connections.deadlines.now

    # opening

    def connecting(self, error: int) -> None:
        """Our connect() was begun and returned ``error``; 0 or EINPROGRESS say that it may succeed."""
        if error:
            self.abort(f"connect: {os.strerror(error)}")
        else:
            self._connections.deadlines.put(self, self._now() + self._limits.connect_timeout)
            self._poller.add_writer(self._fd, self._connected)

    def _connected(self) -> None:
        error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self.abort(f"connect: {os.strerror(error)}")
            return
        try:
            self._sock.getpeername()
        except OSError:  # not yet: called without need
            return
        self._poller.remove_writer(self._fd)
        self.established()

    def established(self) -> None:
        """TCP is up."""
        self._open()

    def _open(self) -> None:
        """Ready for SIP."""
        self._state = OPEN
        self._heard = self._now()
        self._connections.deadlines.put(self, self._heard + self._limits.idle_timeout)
        self._poller.add_reader(self._fd, self._readable)
        self.flush()

    # writing

    def send(self, data: bytes) -> None:
        """Queue one message. Beyond the bound of the queue the connection is given up."""
        if self.closed:
            return
        if self._queued + len(data) > self._limits.send_queue:
            self.abort(f"peer does not read: more than {self._limits.send_queue} octets wait")
            return
        if not self._out and not self._writing:
            self._connections.outbox.add(self)
        self._out.append(data)
        self._queued += len(data)

    def flush(self) -> None:
        """Write what the kernel takes; the rest follows when it takes more."""
        if self._out and not self._writing and OPEN <= self._state <= CLOSING:
            self._write_queue()

    def _write_queue(self) -> None:
        out = self._out
        data = out[0] if len(out) == 1 else b"".join(out)
        try:
            sent = self._write(data)
            while 0 < sent < len(data):
                more = self._write(memoryview(data)[sent:])
                if not more:
                    break
                sent += more
        except OSError as error:
            self.abort(f"write: {cause(error)}")
            return
        self._queued -= sent
        out.clear()
        if sent < len(data):
            out.append(data[sent:])
        self._want_writer(sent < len(data))
        if not out and self._state == CLOSING:
            self._finish()

    def _want_writer(self, wanted: bool) -> None:
        if wanted != self._writing:
            self._writing = wanted
            if wanted:
                self._poller.add_writer(self._fd, self._writable)
            else:
                self._poller.remove_writer(self._fd)

    def _writable(self) -> None:
        if self._out:
            self._write_queue()
        else:
            self._want_writer(False)

    def _write(self, data: bytes | memoryview) -> int:
        """How many octets the kernel took."""
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    # closing

    def close(self, reason: str) -> None:
        """Close once the queued output is written, or after a bound."""
        if not self._end(reason):
            return
        self._connections.forget(self)
        if self._state < OPEN:
            self.drop()
            return
        self._poller.remove_reader(self._fd)
        self._state = CLOSING
        self._connections.deadlines.put(self, self._now() + self._limits.close_timeout)
        if not self._out:
            self._finish()
        else:
            self.flush()

    def _finish(self) -> None:
        """All output is written."""
        if not self._linger:
            self.drop()
            return
        self._state = LINGERING
        try:
            self._shutdown()
        except (OSError, ValueError):
            self.drop()
        else:
            self._poller.add_reader(self._fd, self._discard)

    def _shutdown(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def _discard(self) -> None:
        try:
            data = self._sock.recv(READ)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            data = b""
        if not data:
            self.drop()

    def abort(self, reason: str) -> None:
        """Close at once; queued output is lost."""
        if self._end(reason):
            self._connections.forget(self)
        self.drop()

    def drop(self) -> None:
        """Close the socket."""
        if self._state == GONE:
            return
        self._state = GONE
        self._out.clear()
        self._queued = 0
        self._poller.remove_reader(self._fd)
        self._poller.remove_writer(self._fd)
        self._sock.close()
        self._connections.gone(self)


def cause(error: OSError) -> str:
    """What went wrong, in words."""
    return error.strerror or type(error).__name__
