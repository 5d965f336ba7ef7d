# One flow as the forwarder keeps it: flows.py in C.

from libc.string cimport memcpy, memset

from relay._kernel cimport AF_INET, AF_INET6, Name, sockaddr_in, sockaddr_in6
from relay._latch cimport (
    DROP_FOREIGN, PASS, Latch, Limits, Source, latch_destination, latch_judge
)
from relay._packet cimport RTCP, RTP, kind_of, octet, ssrc_of, two, four
from relay._stream cimport Reports, Stream, reports_passed, stream_arrived

cdef enum:
    MOST_TARGETS = 8
    REASONS = 9  # flows.Drop
    OVERSIZED = 5
    FLOOD = 6
    NOWHERE = 7
    REFUSED = 8
    LONGEST = 2048

cdef enum:  # flows.What, as bits
    TELL_LATCHED = 1
    TELL_IDLE = 2
    TELL_BACK = 4
    TELL_FLOOD = 8

cdef struct Flow:
    long long number  # -1 while unused
    int fd, target_count
    bint ipv6, encrypted, idle_told
    unsigned int to_size  # of `to`; 0 while packets cannot leave here
    Name to
    long long targets[MOST_TARGETS]
    long long beside
    Latch latch
    Stream stream
    Reports reports
    double read_at, rate, burst, tokens, tokens_at, idle, idle_from, flood_told
    long long packets, octets, sent, sent_octets
    long long dropped[REASONS]


cdef inline void source_of(const Name *name, Source *source) noexcept nogil:
    memset(source, 0, sizeof(Source))
    if name.any.sa_family == AF_INET:
        source.family = 4
        source.port = name.v4.sin_port
        memcpy(source.host, &name.v4.sin_addr, 4)
    else:
        source.family = 6
        source.port = name.v6.sin6_port
        source.scope = name.v6.sin6_scope_id
        memcpy(source.host, &name.v6.sin6_addr, 16)


cdef inline void aim(Flow *flow) noexcept nogil:
    """Write down where packets that leave here go now. Call it after each change of the latch."""
    cdef const Source *to = latch_destination(&flow.latch)
    flow.to_size = 0
    if to == NULL or (to.family == 6) != flow.ipv6:
        return
    memset(&flow.to, 0, sizeof(Name))
    if to.family == 4:
        flow.to.v4.sin_family = AF_INET
        flow.to.v4.sin_port = to.port
        memcpy(&flow.to.v4.sin_addr, to.host, 4)
        flow.to_size = sizeof(sockaddr_in)
    else:
        flow.to.v6.sin6_family = AF_INET6
        flow.to.v6.sin6_port = to.port
        flow.to.v6.sin6_scope_id = to.scope
        memcpy(&flow.to.v6.sin6_addr, to.host, 16)
        flow.to_size = sizeof(sockaddr_in6)


cdef inline bint floods(Flow *flow, unsigned int size, double now) noexcept nogil:
    """Take what a packet needs out of the token bucket."""
    if flow.rate == 0:
        return False
    flow.tokens = min(flow.burst, flow.tokens + (now - flow.tokens_at) * flow.rate)
    flow.tokens_at = now
    if flow.tokens < size:
        return True
    flow.tokens -= size
    return False


cdef inline bint drop(Flow *flow, int why) noexcept nogil:
    flow.dropped[why] += 1
    return False


cdef inline bint passes(
    Flow *flow, octet *data, unsigned int size, const Name *name, const Reports *other, double now,
    const Limits *limits, int *told
) noexcept nogil:
    """Whether a packet passes. Adds to `told` what there is to tell."""
    cdef Source source
    cdef int kind, verdict
    cdef long long ssrc
    if size > LONGEST:
        return drop(flow, OVERSIZED)
    kind = kind_of(data, size)
    ssrc = ssrc_of(kind, data)
    source_of(name, &source)
    verdict = latch_judge(
        &flow.latch, &source, kind, ssrc, two(data + 2) if kind == RTP else 0, now, limits
    )
    if verdict >= DROP_FOREIGN:
        return drop(flow, verdict - DROP_FOREIGN)
    if verdict != PASS:
        told[0] |= TELL_LATCHED
        aim(flow)
    flow.idle_from = now
    if flow.idle_told:
        flow.idle_told = False
        told[0] |= TELL_BACK
    if floods(flow, size, now):
        if now - flow.flood_told >= 1:
            flow.flood_told = now
            told[0] |= TELL_FLOOD
        return drop(flow, FLOOD)
    flow.packets += 1
    flow.octets += size
    if kind == RTP and not flow.latch.rtcp and not flow.latch.raw:
        stream_arrived(&flow.stream, ssrc, two(data + 2), four(data + 4), now)
    elif kind == RTCP and not flow.encrypted:
        reports_passed(&flow.reports, other, data, size, now)
    return True
