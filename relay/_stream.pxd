# Loss, jitter and RTCP of one stream: stream.py and rtcp.py in C.

from libc.math cimport fabs
from libc.string cimport memset

from relay._packet cimport four, octet, two

cdef enum:
    MISORDER = 100
    DROPOUT = 3000
    KEPT = 4

cdef struct Stream:
    long long ssrc, received, expected, run, base, top, timestamp
    int odd
    double jitter, clock, transit

cdef struct Reports:
    unsigned int stamps[KEPT]
    double passed[KEPT]
    unsigned int sent  # sender reports; the next one's place is this modulo KEPT
    long long reports, lost, jitter, round_trips
    double fraction_sum, round_trip, round_trip_sum


cdef inline void stream_begin(Stream *stream, int clock) noexcept nogil:
    memset(stream, 0, sizeof(Stream))
    stream.ssrc = stream.timestamp = -1
    stream.clock = clock


cdef inline long long stream_expected(const Stream *stream) noexcept nogil:
    return stream.expected + (stream.top - stream.base + 1 if stream.run else 0)


cdef inline void run_begin(Stream *stream, long long ssrc, int sequence) noexcept nogil:
    stream.expected = stream_expected(stream)
    stream.ssrc = ssrc
    stream.base = stream.top = sequence
    stream.odd = -1
    stream.run = 0
    stream.timestamp = -1


cdef inline void measure(Stream *stream, unsigned int timestamp, double now) noexcept nogil:
    cdef double late
    if timestamp == stream.timestamp:
        return
    if stream.timestamp >= 0:
        late = fabs(now - stream.transit - <int>(timestamp - <unsigned int>stream.timestamp) / stream.clock)
        if late < 10:
            stream.jitter += (late - stream.jitter) / 16
    stream.timestamp, stream.transit = timestamp, now


cdef inline void stream_arrived(
    Stream *stream, long long ssrc, int sequence, unsigned int timestamp, double now
) noexcept nogil:
    cdef int step
    if ssrc != stream.ssrc or not stream.run:
        run_begin(stream, ssrc, sequence)
    else:
        step = (sequence - <int>(stream.top & 0xFFFF)) & 0xFFFF
        if step < DROPOUT:
            stream.top += step
        elif step <= 0x10000 - MISORDER:
            if sequence != stream.odd:
                stream.odd = (sequence + 1) & 0xFFFF
                return
            run_begin(stream, ssrc, sequence)
    stream.received += 1
    stream.run += 1
    measure(stream, timestamp, now)


cdef inline void block_read(Reports *reports, const Reports *other, octet *block, double now) noexcept nogil:
    cdef unsigned int stamp = four(block + 16), i
    cdef long long lost = four(block + 4) & 0xFFFFFF
    cdef double way
    reports.reports += 1
    reports.fraction_sum += block[4] / 256.0
    reports.lost = lost - 0x1000000 if lost & 0x800000 else lost
    reports.jitter = four(block + 12)
    if other == NULL or stamp == 0:
        return
    for i in range(1, min(other.sent, <unsigned int>KEPT) + 1):
        if other.stamps[(other.sent - i) % KEPT] == stamp:
            way = now - other.passed[(other.sent - i) % KEPT] - four(block + 20) / 65536.0
            if 0 <= way < 10:
                reports.round_trip = way
                reports.round_trip_sum += way
                reports.round_trips += 1
            return


cdef inline void reports_passed(
    Reports *reports, const Reports *other, octet *data, unsigned int size, double now
) noexcept nogil:
    """An RTCP datagram; `other`: the reports of the phone that this one hears, or NULL."""
    cdef unsigned int at = 0, end, blocks, i
    while at + 8 <= size:
        end = at + 4 * (two(data + at + 2) + 1)
        if data[at] >> 6 != 2 or end > size:
            return
        if data[at + 1] == 200 or data[at + 1] == 201:
            blocks = at + (28 if data[at + 1] == 200 else 8)
            if blocks > end:
                return
            if data[at + 1] == 200:
                reports.stamps[reports.sent % KEPT] = four(data + at + 10)
                reports.passed[reports.sent % KEPT] = now
                reports.sent += 1
            for i in range(min(<unsigned int>(data[at] & 31), (end - blocks) // 24)):
                block_read(reports, other, data + blocks + 24 * i, now)
        at = end
