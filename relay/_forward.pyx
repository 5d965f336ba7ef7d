# cython: boundscheck=False, wraparound=False, cdivision=True
"""Forwards media by the table of flows, on a thread that never holds the interpreter: `_table.pxd`.

Here are the commands of Python. The twin with the same interface is forward_python.py.
"""

import ipaddress
import os
import select
import socket
import threading

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport errno
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from relay._flow cimport (
    LONGEST, MOST_TARGETS, REASONS, TELL_BACK, TELL_FLOOD, TELL_IDLE, TELL_LATCHED, Flow, aim
)
from relay._kernel cimport (
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLLIN, Name, clarion_now, epoll_ctl, epoll_event, eventfd_write,
    pthread_mutex_destroy, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock
)
from relay._latch cimport (
    Latch, Limits, Source, latch_begin, latch_destination, latch_follow, latch_judge, latch_restore,
    latch_tell
)
from relay._packet cimport kind_of as kind_of_c, octet
from relay._stream cimport Reports, Stream, stream_arrived, stream_begin, stream_expected
from relay._table cimport BATCH, MOST_EVENTS, PLACE_BITS, Table, Told, find, run

from relay import latch as rules
from relay.address import Address
from relay.flows import Counters, Event, What

SLOW = False
WHATS = (
    (TELL_LATCHED, What.LATCHED), (TELL_IDLE, What.IDLE), (TELL_BACK, What.BACK), (TELL_FLOOD, What.FLOOD)
)


cdef int read_limits(Limits *limits) except -1:
    """The table and the numbers of latch.py."""
    cdef int place = 0
    limits.silence, limits.quiet, limits.continues_after = rules.SILENCE, rules.QUIET, rules.CONTINUES_AFTER
    limits.learning, limits.grace, limits.return_after = rules.LEARNING, rules.GRACE, rules.RETURN_AFTER
    limits.return_packets, limits.probation = rules.RETURN_PACKETS, rules.PROBATION
    limits.probation_natted, limits.gap = rules.PROBATION_NATTED, rules.GAP
    limits.candidate_gap = rules.CANDIDATE_GAP
    for row in rules.TABLE:
        for pair in row:
            for verdict in pair:
                limits.table[place] = verdict
                place += 1
    return 0


cdef int pack(str host, int port, Source *source) except -1:
    """ValueError if `host` is not empty and no IP address."""
    memset(source, 0, sizeof(Source))
    if not host:
        return 0
    address = ipaddress.ip_address(host)
    cdef bytes octets = address.packed
    memcpy(source.host, PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets))
    source.family = address.version
    source.port = socket.htons(port)
    scope = getattr(address, "scope_id", None)
    if scope is not None:
        source.scope = int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
    return 0


cdef object unpack(const Source *source):
    if source == NULL or source.family == 0:
        return None
    host = str(ipaddress.ip_address((<const char *>source.host)[: 4 if source.family == 4 else 16]))
    return Address(f"{host}%{source.scope}" if source.scope else host, socket.ntohs(source.port))


cdef class Forwarder:
    """See forward_python.Forwarder."""

    cdef Table *_table
    cdef int *_free  # places in the table, the next one to use last
    cdef int _free_count, _wake
    cdef bint _closed
    cdef object _thread, _poll

    def __cinit__(self, int capacity=65_536):
        cdef int i
        cdef Table *table
        if not 0 < capacity <= 1 << PLACE_BITS:
            raise ValueError(f"capacity is not between 1 and {1 << PLACE_BITS}")
        table = self._table = <Table *>calloc(1, sizeof(Table))
        self._free = <int *>calloc(capacity, sizeof(int))
        if table == NULL or self._free == NULL:
            raise MemoryError
        pthread_mutex_init(&table.lock, NULL)
        pthread_mutex_init(&table.gate, NULL)
        table.flows = <Flow *>calloc(capacity, sizeof(Flow))  # pages that no flow reaches are never used
        table.buffer = <char *>calloc(BATCH, LONGEST + 1)
        if table.flows == NULL or table.buffer == NULL:
            raise MemoryError
        table.capacity = self._free_count = capacity
        table.sweep, table.busy = 0.25, 0.002
        for i in range(capacity):
            self._free[i] = capacity - 1 - i
        for i in range(BATCH):
            table.into_parts[i].iov_base = table.buffer + i * (LONGEST + 1)
            table.into_parts[i].iov_len = LONGEST + 1
            table.into[i].msg_hdr.msg_iov = &table.into_parts[i]
            table.into[i].msg_hdr.msg_iovlen = table.out[i].msg_hdr.msg_iovlen = 1
            table.into[i].msg_hdr.msg_name = &table.names[i]
            table.into[i].msg_hdr.msg_namelen = sizeof(Name)
            table.out[i].msg_hdr.msg_iov = &table.out_parts[i]
        read_limits(&table.limits)

    def __init__(self, int capacity=65_536):
        self._poll = select.epoll()
        self._table.epoll = self._poll.fileno()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._table.told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watch(self._wake, -1)

    def __dealloc__(self):
        if self._table != NULL:
            pthread_mutex_destroy(&self._table.lock)
            pthread_mutex_destroy(&self._table.gate)
            free(self._table.flows)
            free(self._table.buffer)
        free(self._table)
        free(self._free)

    @property
    def lost_events(self):
        return self._table.lost_events

    def start(self):
        self._thread = threading.Thread(target=self._forward, name="relay", daemon=True)
        self._thread.start()

    def close(self):
        if self._closed:
            return
        self._closed = self._table.stopping = True
        eventfd_write(self._wake, 1)
        if self._thread is not None:
            self._thread.join()
        for place in range(self._table.top):
            if self._table.flows[place].number >= 0 and self._table.flows[place].fd >= 0:
                self.remove(self._table.flows[place].number)
        self._poll.close()
        os.close(self._wake)
        os.close(self._table.told)

    def __len__(self):
        return self._table.capacity - self._free_count

    def fileno(self):
        return self._table.told

    cdef void _enter(self) noexcept:
        """Until `_leave` nothing may give up the interpreter lock: another command would wait for ever."""
        self._table.wanted += 1
        pthread_mutex_lock(&self._table.gate)
        pthread_mutex_lock(&self._table.lock)
        self._table.wanted -= 1

    cdef void _leave(self) noexcept:
        pthread_mutex_unlock(&self._table.lock)
        pthread_mutex_unlock(&self._table.gate)

    cdef int _watch(self, int fd, long long number) except -1:
        cdef epoll_event event
        event.events = EPOLLIN
        event.data.u64 = number
        if epoll_ctl(self._table.epoll, EPOLL_CTL_ADD, fd, &event) < 0:
            raise OSError(errno, os.strerror(errno))
        return 0

    cdef Flow *_known(self, long long number) except NULL:
        cdef Flow *flow = find(self._table, number)
        if flow == NULL:
            raise KeyError(number)
        return flow

    def add(self, int fd, options):
        cdef Flow fresh
        cdef int place
        memset(&fresh, 0, sizeof(Flow))
        latch_begin(&fresh.latch, options.rtcp, options.raw)
        stream_begin(&fresh.stream, options.clock)
        fresh.fd, fresh.encrypted, fresh.beside = fd, options.encrypted, -1
        fresh.rate, fresh.burst, fresh.idle = options.rate, options.burst, options.idle
        fresh.tokens, fresh.tokens_at = fresh.burst, clarion_now()
        fresh.idle_from = fresh.tokens_at
        with socket.socket(fileno=os.dup(fd)) as opened:
            fresh.ipv6 = opened.family == socket.AF_INET6
        if self._free_count == 0:
            raise OSError("the table of flows is full")
        place = self._free[self._free_count - 1]
        # a place that was used keeps its number, so that the next one differs
        fresh.number = place
        if place < self._table.top:
            fresh.number = self._table.flows[place].number + (1 << PLACE_BITS)
        self._watch(fd, fresh.number)
        self._free_count -= 1
        self._enter()
        self._table.flows[place] = fresh
        self._table.top = max(self._table.top, place + 1)
        self._leave()
        return fresh.number

    def remove(self, long long number):
        cdef Flow *flow = self._known(number)
        cdef epoll_event event
        counters = self.read(number)
        self._enter()
        epoll_ctl(self._table.epoll, EPOLL_CTL_DEL, flow.fd, &event)
        flow.fd = -1
        self._leave()
        self._free[self._free_count] = number & ((1 << PLACE_BITS) - 1)
        self._free_count += 1
        return counters

    def route(self, long long number, targets):
        cdef Flow *flow = self._known(number)
        cdef list wanted = list(targets)
        cdef long long numbers[MOST_TARGETS]
        cdef int i
        if len(wanted) > MOST_TARGETS:
            raise ValueError(f"more than {MOST_TARGETS} targets")
        for i in range(len(wanted)):
            numbers[i] = wanted[i]
        self._enter()
        flow.targets = numbers
        flow.target_count = len(wanted)
        self._leave()

    def beside(self, long long number, rtcp):
        cdef Flow *flow = self._known(number)
        cdef long long beside = -1 if rtcp is None else rtcp
        self._enter()
        flow.beside = beside
        self._leave()

    def tell(
        self, long long number, str host, int port, *,
        str via="", bint natted=False, bint moved=False, bint asymmetric=False,
    ):
        cdef Flow *flow = self._known(number)
        cdef Source hint, through
        pack(host, port, &hint)
        pack(via, 0, &through)
        self._enter()
        latch_tell(&flow.latch, &hint, &through, natted, moved, asymmetric, clarion_now())
        aim(flow)
        self._leave()

    def restore(self, long long number, str host, int port):
        cdef Flow *flow = self._known(number)
        cdef Source source
        pack(host, port, &source)
        self._enter()
        latch_restore(&flow.latch, &source, clarion_now())
        aim(flow)
        self._leave()

    def read(self, long long number):
        cdef Flow flow
        cdef Flow *found = self._known(number)
        self._enter()
        flow = found[0]
        self._leave()
        return counters_of(&flow)

    def events(self):
        cdef Told told[MOST_EVENTS]
        cdef int i, count
        try:
            os.eventfd_read(self._table.told)
        except BlockingIOError:
            pass
        self._enter()
        count = self._table.event_count
        memcpy(told, self._table.events, count * sizeof(Told))
        self._table.event_count = 0
        self._leave()
        return [
            Event(told[i].flow, what, told[i].at)
            for i in range(count)
            for bit, what in WHATS
            if told[i].what & bit
        ]

    def _forward(self):
        with nogil:
            run(self._table)


cdef object counters_of(Flow *flow):
    cdef Latch *latch = &flow.latch
    cdef Stream *stream = &flow.stream
    cdef Reports *reports = &flow.reports
    return Counters(
        flow.packets, flow.octets, flow.sent, flow.sent_octets,
        tuple([flow.dropped[i] for i in range(REASONS)]),
        latch.heard, latch.moves, stream.ssrc, stream.received, stream_expected(stream), stream.jitter,
        reports.reports, reports.fraction_sum / max(reports.reports, 1), reports.lost, reports.jitter,
        reports.round_trip, reports.round_trip_sum / max(reports.round_trips, 1), reports.round_trips,
        rules.State(latch.state), unpack(&latch.source), unpack(latch_destination(latch)),
    )


def kind_of(bytes data not None):
    """See packet.kind_of."""
    return kind_of_c(<octet *>PyBytes_AS_STRING(data), <unsigned int>PyBytes_GET_SIZE(data))


cdef class NativeLatch:
    """The latch of a flow by itself, for tests: see latch.Latch."""

    cdef Latch _latch
    cdef Limits _limits

    def __cinit__(self, bint rtcp=False, bint raw=False):
        read_limits(&self._limits)
        latch_begin(&self._latch, rtcp, raw)

    def tell(
        self, str host, int port, double now, *,
        str via="", bint natted=False, bint moved=False, bint asymmetric=False,
    ):
        cdef Source hint, through
        pack(host, port, &hint)
        pack(via, 0, &through)
        latch_tell(&self._latch, &hint, &through, natted, moved, asymmetric, now)

    def follow(self, str host, double now):
        cdef Source source
        pack(host, 0, &source)
        latch_follow(&self._latch, &source, now)

    def restore(self, str host, int port, double now):
        cdef Source source
        pack(host, port, &source)
        latch_restore(&self._latch, &source, now)

    def judge(self, str host, int port, int kind, long long ssrc, int sequence, double now):
        cdef Source source
        pack(host, port, &source)
        return latch_judge(&self._latch, &source, kind, ssrc, sequence, now, &self._limits)

    @property
    def destination(self):
        return unpack(latch_destination(&self._latch))

    @property
    def source(self):
        return unpack(&self._latch.source)

    @property
    def state(self):
        return self._latch.state

    @property
    def moves(self):
        return self._latch.moves


cdef class NativeStream:
    """The numbers of a stream by themselves, for tests: see stream.Stream."""

    cdef Stream _stream

    def __cinit__(self, int clock=8000):
        stream_begin(&self._stream, clock)

    def arrived(self, long long ssrc, int sequence, unsigned int timestamp, double now):
        stream_arrived(&self._stream, ssrc, sequence, timestamp, now)

    @property
    def received(self):
        return self._stream.received

    @property
    def expected(self):
        return stream_expected(&self._stream)

    @property
    def jitter(self):
        return self._stream.jitter
