"""All connections of a node: by serial, by destination, and how many there may be."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
from typing import TYPE_CHECKING, Final

from node.transport.address import family_of
from node.transport.connection import Connection, StreamLimits
from node.transport.deadlines import Deadlines
from node.transport.flow import Listener
from node.transport.poller import Poller
from node.transport.stream import Stream
from node.transport.tls import TlsStream

if TYPE_CHECKING:
    from node.transport.faults import Faults
    from node.transport.outbox import Outbox
    from node.transport.receiver import Receiver
    from node.transport.tls_context import TlsContexts

Destination = tuple[Listener, str, int, str]  # by which listener's name, host, port, server name

_WILDCARDS: Final = ("0.0.0.0", "::")
_IP_BIND_ADDRESS_NO_PORT: Final = 24  # the port is chosen by connect(), when its peer is known
_USER_TIMEOUT: Final = 32_000  # ms that written octets may stay unacknowledged: a peer that vanished


class Connections:
    """Opens and accepts connections; each is in ``by_serial`` until it is told to close."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        receiver: Receiver,
        outbox: Outbox,
        faults: Faults,
        limits: StreamLimits,
        *,
        tls: TlsContexts | None = None,
        maximum: int = 50_000,
        maximum_per_address: int = 5_000,
    ) -> None:
        self.loop = loop
        self.received = receiver.received
        self.broken = receiver.broken
        self.outbox = outbox
        self.faults = faults
        self.limits = limits
        self.tls = tls
        self.deadlines = Deadlines(loop)
        self.poller = Poller(loop, outbox)
        self.serials = itertools.count(1)
        self.by_serial: dict[int, Stream] = {}
        self.refused = 0  # for a bound
        self._maximum = maximum
        self._per_address = maximum_per_address
        self._addresses: dict[bytes, int] = {}
        self._all: set[Connection] = set()  # with those that still close
        self._opened: dict[Destination, Stream] = {}
        self._keys: dict[Connection, Destination] = {}
        self._empty: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._all)

    def accept(self, listener: Listener, sock: socket.socket, peer: tuple[str, int]) -> None:
        """A peer connected to a listener; closed at once if there are too many."""
        address = peer[0].partition("%")[0].encode()
        if len(self._all) >= self._maximum or self._addresses.get(address, 0) >= self._per_address:
            self.refused += 1
            sock.close()
            return
        stream = self._made(listener, sock, peer, "")
        if stream is not None:
            stream.established()

    def to(self, listener: Listener, host: str, port: int, server_name: str) -> Stream:
        """The connection that we opened to an IP address, or a new one that opens in the background.

        Raises LookupError if none can be opened: too many, no TLS.
        """
        key = (listener, host, port, server_name)
        stream = self._opened.get(key)
        return stream if stream is not None else self._connect(key)

    def _connect(self, key: Destination) -> Stream:
        listener, host, port, server_name = key
        if len(self._all) >= self._maximum:
            raise LookupError("too many connections")
        try:
            sock = _socket(listener, host)
        except OSError as error:
            raise LookupError(f"no socket: {error.strerror}") from None
        stream = self._made(listener, sock, (host, port), server_name or host)
        if stream is None:
            raise LookupError("no TLS")
        self._opened[key] = stream
        self._keys[stream] = key
        error_number = sock.connect_ex((host, port))
        stream.connecting(0 if error_number == errno.EINPROGRESS else error_number)
        return stream

    def _made(
        self, listener: Listener, sock: socket.socket, peer: tuple[str, int], server_name: str
    ) -> Stream | None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT)
        if listener.transport != "tls":
            stream = Stream(self, listener, sock, peer)
        else:
            context = self.tls and (self.tls.client if server_name else self.tls.server)
            if context is None:
                sock.close()
                return None
            stream = TlsStream(self, listener, sock, peer, context, server_name)
        self.by_serial[stream.serial] = stream
        self._all.add(stream)
        self._addresses[stream.received] = self._addresses.get(stream.received, 0) + 1
        return stream

    def forget(self, stream: Connection) -> None:
        """A connection takes no more messages."""
        self.by_serial.pop(stream.serial, None)
        key = self._keys.pop(stream, None)
        if key is not None:
            del self._opened[key]

    def gone(self, stream: Connection) -> None:
        """The socket of a connection is closed."""
        self.deadlines.discard(stream)
        self._all.discard(stream)
        left = self._addresses.get(stream.received, 0) - 1
        if left > 0:
            self._addresses[stream.received] = left
        else:
            self._addresses.pop(stream.received, None)
        if self._empty is not None and not self._all:
            self._empty.set()

    async def close(self, reason: str, timeout: float) -> None:
        """Close all, giving queued output ``timeout`` seconds."""
        for stream in tuple(self._all):
            stream.close(reason)
        if self._all:
            self._empty = asyncio.Event()
            try:
                await asyncio.wait_for(self._empty.wait(), timeout)
            except TimeoutError:
                pass
        for stream in tuple(self._all):
            stream.abort(reason)
        self.deadlines.stop()
        self.poller.close()


def _socket(listener: Listener, host: str) -> socket.socket:
    """A socket to connect with. Other nodes know this one by its internal address, so it calls from there."""
    family = family_of(host)
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    if listener.internal and listener.host not in _WILDCARDS and family_of(listener.host) == family:
        try:
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((listener.host, 0))
        except OSError:
            sock.close()
            raise
    return sock
