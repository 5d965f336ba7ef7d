"""Forwards media by the table of flows, in plain Python: the twin of `_forward.pyx`, where no compiler was.

It is slow: a packet costs about ten times what it costs there, and holds the interpreter.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Final

from relay.flows import LARGEST, TARGETS, Counters, Drop, Event, Flow, Options, What

SLOW: Final = True
_SWEEP: Final = 0.25  # s between looks at who is silent
_BATCH: Final = 32
_EVENTS: Final = 4096


class Forwarder:
    """Sockets in, sockets out, on a thread of its own. Flows are named by numbers that are never used again.

    Methods may be called from any thread; a number that is not (any more) a flow raises KeyError.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        """`capacity`: most flows at a time."""
        self.lost_events = 0  # that nobody fetched in time
        self._capacity = capacity
        self._flows: dict[int, Flow] = {}
        self._sockets: dict[int, socket.socket] = {}  # by flow, our own handles
        self._numbers: dict[int, int] = {}  # descriptor -> flow
        self._next = 0
        self._lock = threading.Lock()
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        self._events: deque[Event] = deque()
        self._thread: threading.Thread | None = None
        self._stopping = self._closed = False

    def start(self) -> None:
        """Begin to forward."""
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop forwarding and forget all flows. Their sockets stay open: they belong to the caller."""
        if self._closed:
            return
        self._closed = self._stopping = True
        os.eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join()
        for flow in list(self._flows):
            self.remove(flow)
        self._poll.close()
        os.close(self._wake)
        os.close(self._told)

    def __len__(self) -> int:
        return len(self._flows)

    def add(self, fd: int, options: Options) -> int:
        """A flow for a bound non-blocking UDP socket, which outlives it. OSError if the table is full."""
        with self._lock:
            if len(self._flows) >= self._capacity:
                raise OSError("the table of flows is full")
            flow, opened = self._next, socket.socket(fileno=os.dup(fd))
            self._next += 1
            self._flows[flow] = Flow(flow, opened.fileno(), options, time.monotonic())
            self._sockets[flow] = opened
            self._numbers[opened.fileno()] = flow
            self._poll.register(opened.fileno(), select.EPOLLIN)
        return flow

    def remove(self, flow: int) -> Counters:
        """Forget a flow; what it had counted."""
        with self._lock:
            counters = self._flows.pop(flow).counters()
            opened = self._sockets.pop(flow)
            self._poll.unregister(opened.fileno())
            del self._numbers[opened.fileno()]
            opened.close()
        return counters

    def route(self, flow: int, targets: Iterable[int]) -> None:
        """Packets that come to `flow` leave from these flows, each to its own destination. At most 8."""
        wanted = tuple(targets)
        if len(wanted) > TARGETS:
            raise ValueError(f"more than {TARGETS} targets")
        with self._lock:
            self._flows[flow].targets = wanted

    def beside(self, flow: int, rtcp: int | None) -> None:
        """The RTCP port that belongs to an RTP port: it will hear from the host that `flow` learns."""
        with self._lock:
            self._flows[flow].beside = rtcp

    def tell(
        self,
        flow: int,
        host: str,
        port: int,
        *,
        via: str = "",
        natted: bool = False,
        moved: bool = False,
        asymmetric: bool = False,
    ) -> None:
        """What signalling says of the phone at this flow, see `Latch.tell`."""
        with self._lock:
            self._flows[flow].latch.tell(
                host, port, time.monotonic(), via=via, natted=natted, moved=moved, asymmetric=asymmetric
            )

    def restore(self, flow: int, host: str, port: int) -> None:
        """After `tell`: begin with the source that another node had learned."""
        with self._lock:
            self._flows[flow].latch.restore(host, port, time.monotonic())

    def read(self, flow: int) -> Counters:
        """What was counted so far."""
        with self._lock:
            return self._flows[flow].counters()

    def events(self) -> list[Event]:
        """What happened since the last call, oldest first."""
        try:
            os.eventfd_read(self._told)
        except BlockingIOError:
            pass
        with self._lock:
            found = list(self._events)
            self._events.clear()
        return found

    def fileno(self) -> int:
        """A descriptor that is readable while events wait."""
        return self._told

    def _run(self) -> None:
        sweep_at = time.monotonic() + _SWEEP
        while not self._stopping:
            ready = self._poll.poll(max(0.0, sweep_at - time.monotonic()))
            with self._lock:
                for fd, _ in ready:
                    flow = self._numbers.get(fd)
                    if flow is not None:
                        self._receive(self._flows[flow])
                now = time.monotonic()
                if now >= sweep_at:
                    sweep_at = now + _SWEEP
                    for one in self._flows.values():
                        if one.falls_idle(now):
                            self._tell(one.number, What.IDLE, now)

    def _receive(self, flow: Flow) -> None:
        opened = self._sockets[flow.number]
        other = self._flows.get(flow.targets[0]) if flow.targets else None
        for _ in range(_BATCH):
            try:
                data, address = opened.recvfrom(LARGEST + 1)
            except OSError:
                return
            now = time.monotonic()
            reports = other.reports if other is not None else None
            passes, told = flow.passes(data, address[0], address[1], reports, now)
            for what in told:
                self._tell(flow.number, what, now)
            if What.LATCHED in told and flow.beside in self._flows and flow.latch.source is not None:
                self._flows[flow.beside].latch.follow(flow.latch.source.host, now)
            if passes:
                self._forward(flow, data)

    def _forward(self, flow: Flow, data: bytes) -> None:
        reached = False
        for number in flow.targets:
            target = self._flows.get(number)
            to = target.latch.destination if target is not None else None
            if target is None or to is None or (to.family == 6) != self._ipv6(number):
                continue
            reached = True
            try:
                self._sockets[number].sendto(data, to)
            except OSError:
                flow.dropped[Drop.REFUSED] += 1
                continue
            target.sent += 1
            target.sent_octets += len(data)
        if not reached:
            flow.dropped[Drop.NOWHERE] += 1

    def _ipv6(self, flow: int) -> bool:
        return self._sockets[flow].family == socket.AF_INET6

    def _tell(self, flow: int, what: What, now: float) -> None:
        if len(self._events) >= _EVENTS:
            self.lost_events += 1
            return
        self._events.append(Event(flow, what, now))
        if len(self._events) == 1:
            os.eventfd_write(self._told, 1)
