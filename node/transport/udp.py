"""One UDP listener: datagrams in, flows kept, output written in batches.

The hot path is `_readable`: one system call reads up to 64 datagrams, each is handed over with the flow of
its source, and one system call (per listener used) writes what the node had to say about all of them.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Any, Final

from node.transport import stun
from node.transport.flow import Flow, Listener, Watcher
from node.transport.udp_socket import drops_of, open_socket

if TYPE_CHECKING:
    from node.transport.address import ListenAddress
    from node.transport.faults import Faults
    from node.transport.outbox import Outbox
    from node.transport.receiver import Receiver

COMPILED: bool = False
if TYPE_CHECKING or os.environ.get("CLARION_PURE_PYTHON") == "1":
    from node.transport.udp_python import Datagrams
else:
    try:
        from node.transport._udp import Datagrams

        COMPILED = True
    except ImportError:
        from node.transport.udp_python import Datagrams

FLOWS: Final = 32_768  # of each of two generations of remembered sources
QUEUE: Final = 8_192  # datagrams waiting for the kernel
_KEEP_ALIVE: Final = b"\r\n\0 \t"
_WAIT: Final = (-errno.EAGAIN, -errno.EWOULDBLOCK)


class UdpFlow(Flow):
    """A remote address at one UDP listener. Never closes while the listener is open."""

    __slots__ = ("_address", "_udp")

    def __init__(self, udp: Udp, address: object) -> None:
        host, port = udp.datagrams.unpack(address)
        super().__init__(udp.loop, udp.listener, host, port)
        self._udp = udp
        self._address = address

    def send(self, data: bytes) -> None:
        """Queue one datagram; dropped and counted when the kernel takes no more."""
        udp = self._udp
        queue = udp.queue
        if not queue:
            udp.outbox.add(udp)
        elif len(queue) >= udp.queue_limit and not udp.make_room():
            return
        queue.append((data, self._address))

    def close(self, reason: str) -> None:
        """Nothing to close."""

    def watch(self, callback: Watcher) -> None:
        """Nothing to watch: UDP flows do not close."""

    def unwatch(self, callback: Watcher) -> None:
        """Nothing was watched."""


class Udp:
    """A bound socket with its flows and its output. Opens at once; raises OSError if it cannot."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: ListenAddress,
        receiver: Receiver,
        outbox: Outbox,
        faults: Faults,
        *,
        receive_buffer: int = 4_194_304,
        queue_limit: int = QUEUE,
        flow_limit: int = FLOWS,
        datagrams: Any = Datagrams,
    ) -> None:
        self.loop = loop
        self.outbox = outbox
        self.queue: list[tuple[bytes, Any]] = []
        self.queue_limit = queue_limit
        self.dropped = 0  # datagrams that the kernel did not take
        self.keep_alives = 0
        self.stun_requests = 0
        self._socket = open_socket(address, receive_buffer)
        self.datagrams = datagrams(self._socket)
        host, port = self._socket.getsockname()[:2]
        self.listener = Listener("udp", host, port)
        self._received = receiver.received
        self._faults = faults
        self._flow_limit = flow_limit
        self._flows: dict[Any, UdpFlow] = {}
        self._older: dict[Any, UdpFlow] = {}
        self._fd = self._socket.fileno()
        self._writing = False

    def start(self, listener: Listener) -> None:
        """Begin to read; ``listener`` says what peers are told."""
        self.listener = listener
        self.loop.add_reader(self._fd, self._readable)

    def flow_to(self, host: str, port: int) -> UdpFlow:
        """The flow to an IP address of this socket's family; ValueError for another one's."""
        address = self.datagrams.pack(host, port)
        return self._flows.get(address) or self._flow(address)

    def knows(self, host: str, port: int) -> bool:
        """Whether datagrams went to or came from that address lately."""
        address = self.datagrams.pack(host, port)
        return address in self._flows or address in self._older

    def _flow(self, address: Any) -> UdpFlow:
        """Two generations bound what is remembered, and flows in use are always in the younger one."""
        flow = self._older.get(address) or UdpFlow(self, address)
        if len(self._flows) >= self._flow_limit:
            self._older, self._flows = self._flows, {}
        self._flows[address] = flow
        return flow

    def _readable(self) -> None:
        received, flows = self._received, self._flows
        self.outbox.hold()
        for raw, address in self.datagrams.receive():
            flow = flows.get(address)
            if flow is None:
                flow = self._flow(address)
                flows = self._flows
            try:
                if raw[:1] > b" ":
                    received(raw, flow)
                else:
                    self._unusual(raw, flow)
            except Exception:
                self._faults.caught(flow)
        self.outbox.flush()

    def _unusual(self, raw: bytes, flow: UdpFlow) -> None:
        """Keep-alives, STUN, or what the parser must judge."""
        if stun.is_stun(raw):
            self.stun_requests += 1
            answer = stun.answer(raw, flow.received.decode(), flow.rport)
            if answer is not None:
                flow.send(answer)
        elif raw.strip(_KEEP_ALIVE):
            self._received(raw, flow)
        else:
            self.keep_alives += 1

    def flush(self) -> None:
        """Write the queue; what the kernel does not take now waits until it does."""
        queue, done = self.queue, 0
        if self._fd < 0:
            queue.clear()
        send = self.datagrams.send
        while done < len(queue):
            sent = send(queue, done)
            if sent > 0:
                done += sent
            elif sent in _WAIT:
                break
            elif sent != -errno.EINTR:  # this one cannot leave: too long, no route, ...
                self.dropped += 1
                done += 1
        del queue[:done]
        if bool(queue) != self._writing and self._fd >= 0:
            self._writing = bool(queue)
            if queue:
                self.loop.add_writer(self._fd, self.flush)
            else:
                self.loop.remove_writer(self._fd)

    def make_room(self) -> bool:
        """Called with a full queue: True if some of it could be written."""
        if not self._writing:
            self.flush()
        if len(self.queue) < self.queue_limit:
            return True
        self.dropped += 1
        return False

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped because nobody read them in time."""
        return drops_of(self._socket)

    def close(self) -> None:
        """Write what can be written now, and close the socket."""
        if self._fd < 0:
            return
        self.flush()
        self.loop.remove_reader(self._fd)
        self.loop.remove_writer(self._fd)
        self._fd = -1
        self.queue_limit = 0
        self.queue.clear()
        self._socket.close()
