# The table of flows and the thread that forwards by it: forward_python.py in C.
#
# The thread holds `lock` while it works on what epoll reported. A command of Python that wants the table
# counts itself in `wanted` and waits at `gate`; the thread lets it in after the socket that it is reading, so
# Python waits for at most one batch. Commands run under the interpreter lock, hence one at a time.

from relay._flow cimport (
    LONGEST, NOWHERE, REFUSED, TELL_IDLE, TELL_LATCHED, Flow, aim, passes
)
from relay._kernel cimport (
    EPOLLIN, MSG_DONTWAIT, Name, clarion_now, epoll_event, epoll_wait, eventfd_write, iovec, mmsghdr,
    pthread_mutex_lock, pthread_mutex_t, pthread_mutex_unlock, recvfrom, recvmmsg, sendmmsg, sendto
)
from relay._latch cimport Limits, latch_follow
from relay._packet cimport octet
from relay._stream cimport Reports

cdef enum:
    BATCH = 32
    READY = 256
    MOST_EVENTS = 4096
    PLACE_BITS = 20  # of a flow's number: its place in the table; above: how often the place was used

cdef struct Told:
    long long flow
    double at
    int what  # bits

cdef struct Table:
    Flow *flows
    int capacity, top  # no flow is beyond
    int epoll, told  # descriptors
    pthread_mutex_t lock, gate
    volatile int wanted
    volatile bint stopping
    double sweep, busy  # s: between looks at who is silent; how long a socket that was read may have more
    Limits limits
    int event_count
    long long lost_events
    Told events[MOST_EVENTS]
    char *buffer
    mmsghdr into[BATCH]
    mmsghdr out[BATCH]
    iovec into_parts[BATCH]
    iovec out_parts[BATCH]
    Name names[BATCH]


cdef inline Flow *find(Table *table, long long number) noexcept nogil:
    """NULL if there is no such flow (any more)."""
    cdef Flow *flow
    cdef long long place = number & ((1 << PLACE_BITS) - 1)
    if number < 0 or place >= table.top:
        return NULL
    flow = &table.flows[place]
    return flow if flow.number == number and flow.fd >= 0 else NULL


cdef inline void tell(Table *table, Flow *flow, int what, double now) noexcept nogil:
    if table.event_count >= MOST_EVENTS:
        table.lost_events += 1
        return
    table.events[table.event_count] = Told(flow.number, now, what)
    table.event_count += 1
    if table.event_count == 1:
        eventfd_write(table.told, 1)


cdef inline void send_to(Table *table, Flow *flow, Flow *target, int count) noexcept nogil:
    cdef int i, done = 0, sent
    if count == 1:
        if sendto(
            target.fd, table.out_parts[0].iov_base, table.out_parts[0].iov_len, MSG_DONTWAIT,
            &target.to.any, target.to_size,
        ) < 0:
            flow.dropped[REFUSED] += 1
            return
    else:
        for i in range(count):
            table.out[i].msg_hdr.msg_name = &target.to
            table.out[i].msg_hdr.msg_namelen = target.to_size
        while done < count:
            sent = sendmmsg(target.fd, table.out + done, count - done, MSG_DONTWAIT)
            if sent <= 0:  # this one cannot leave
                flow.dropped[REFUSED] += 1
                target.sent -= 1
                target.sent_octets -= table.out_parts[done].iov_len
                sent = 1
            done += sent
    target.sent += count
    for i in range(count):
        target.sent_octets += table.out_parts[i].iov_len


cdef inline void send(Table *table, Flow *flow, int count) noexcept nogil:
    cdef int i
    cdef bint reached = False
    cdef Flow *target
    for i in range(flow.target_count):
        target = find(table, flow.targets[i])
        if target != NULL and target.to_size:
            reached = True
            send_to(table, flow, target, count)
    if not reached:
        flow.dropped[NOWHERE] += count


cdef inline void receive(Table *table, Flow *flow) noexcept nogil:
    """Read what waits at a socket: one packet, or many where they come quickly."""
    cdef int count, i, kept = 0, told = 0
    cdef ssize_t size
    cdef double now = clarion_now()
    cdef Flow *other = find(table, flow.targets[0]) if flow.target_count else NULL
    cdef const Reports *reports = &other.reports if other != NULL else NULL
    if now - flow.read_at < table.busy:
        count = recvmmsg(flow.fd, table.into, BATCH, MSG_DONTWAIT, NULL)
    else:
        table.into[0].msg_hdr.msg_namelen = sizeof(Name)
        size = recvfrom(
            flow.fd, table.buffer, LONGEST + 1, MSG_DONTWAIT, &table.names[0].any,
            &table.into[0].msg_hdr.msg_namelen,
        )
        count = 1 if size >= 0 else -1
        table.into[0].msg_len = <unsigned int>size
    flow.read_at = now
    for i in range(count):
        table.into[i].msg_hdr.msg_namelen = sizeof(Name)
        if passes(
            flow, <octet *>(table.buffer + i * (LONGEST + 1)), table.into[i].msg_len, &table.names[i],
            reports, now, &table.limits, &told,
        ):
            table.out_parts[kept].iov_base = table.buffer + i * (LONGEST + 1)
            table.out_parts[kept].iov_len = table.into[i].msg_len
            kept += 1
    if told:
        tell(table, flow, told, now)
        other = find(table, flow.beside)
        if told & TELL_LATCHED and other != NULL:
            latch_follow(&other.latch, &flow.latch.source, now)
            aim(other)
    if kept:
        send(table, flow, kept)


cdef inline void sweep(Table *table, double now) noexcept nogil:
    cdef int place
    cdef Flow *flow
    for place in range(table.top):
        flow = &table.flows[place]
        if flow.fd < 0 or flow.idle == 0 or flow.idle_told or now - flow.idle_from < flow.idle:
            continue
        flow.idle_told = True
        tell(table, flow, TELL_IDLE, now)


cdef inline void run(Table *table) noexcept nogil:
    cdef epoll_event ready[READY]
    cdef int count, i
    cdef Flow *flow
    cdef double now = clarion_now(), sweep_at = now + table.sweep
    while not table.stopping:
        count = epoll_wait(table.epoll, ready, READY, max(0, <int>((sweep_at - now) * 1000) + 1))
        pthread_mutex_lock(&table.lock)
        for i in range(count):
            if table.wanted:
                pthread_mutex_unlock(&table.lock)
                pthread_mutex_lock(&table.gate)
                pthread_mutex_unlock(&table.gate)
                pthread_mutex_lock(&table.lock)
            flow = find(table, ready[i].data.u64)
            if flow != NULL:
                receive(table, flow)
        now = clarion_now()
        if now >= sweep_at:
            sweep_at = now + table.sweep
            sweep(table, now)
        pthread_mutex_unlock(&table.lock)
