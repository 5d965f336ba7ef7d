# What arrives on a media port: packet.py in C. Numbers are those of packet.Kind.

cdef enum:
    RTP = 0
    RTCP = 1
    STUN = 2
    DTLS = 3
    ZRTP = 4
    OTHER = 5

ctypedef const unsigned char octet


cdef inline unsigned int two(octet *at) noexcept nogil:
    return (<unsigned int>at[0] << 8) | at[1]


cdef inline unsigned int four(octet *at) noexcept nogil:
    return (<unsigned int>at[0] << 24) | (<unsigned int>at[1] << 16) | (<unsigned int>at[2] << 8) | at[3]


cdef inline bint rtp_fits(octet *data, unsigned int size) noexcept nogil:
    cdef unsigned int end = 12 + 4 * (data[0] & 15)
    if data[0] & 16:
        if size < end + 4:
            return False
        end += 4 + 4 * two(data + end + 2)
    return size >= end


cdef inline int kind_of(octet *data, unsigned int size) noexcept nogil:
    cdef unsigned int first
    if size < 8:
        return OTHER
    first = data[0]
    if first >> 6 == 2:
        if 192 <= data[1] <= 223:
            return RTCP if 4 * (two(data + 2) + 1) <= size else OTHER
        return RTP if rtp_fits(data, size) else OTHER
    if first < 4:
        return STUN if size >= 20 and size >= 20 + two(data + 2) else OTHER
    if first == 0x10:
        if size >= 12 and data[4] == c'Z' and data[5] == c'R' and data[6] == c'T' and data[7] == c'P':
            return ZRTP
        return OTHER
    if 20 <= first < 64 and size >= 13 and data[1] == 254:
        return DTLS if two(data + 11) <= size - 13 and two(data + 11) <= 18432 else OTHER
    return OTHER


cdef inline unsigned int ssrc_of(int kind, octet *data) noexcept nogil:
    return four(data + 8) if kind == RTP else four(data + 4) if kind == RTCP else 0
