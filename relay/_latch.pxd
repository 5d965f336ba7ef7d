# Whom a media port listens to: latch.py in C. The table and the numbers come from there.

from libc.string cimport memcmp, memset

from relay._packet cimport OTHER, RTCP, RTP

cdef enum:
    WAITING = 0
    TENTATIVE = 1
    LATCHED = 2
    RELEARNING = 3

cdef enum:
    OWN = 0
    STALE = 1
    GONE = 2
    RETURNED = 3
    EXPECTED = 4
    PROVEN = 5
    UNPROVEN = 6
    CONTINUED = 7
    FOREIGN = 8
    SEEN = 9

cdef enum:
    PASS = 0
    LATCH = 1
    TAKE = 2
    DROP_FOREIGN = 3
    DROP_SOURCE = 6
    DROP_MALFORMED = 7

cdef struct Source:  # compared as a whole: no padding, zero where nothing is
    unsigned char host[16]
    unsigned int scope
    unsigned short port  # network order
    unsigned char family  # 4, 6; 0 for none
    unsigned char unused

cdef struct Limits:  # latch.py's constants
    double silence, quiet, continues_after, learning, grace, return_after
    int return_packets, probation_natted, probation, gap, candidate_gap
    unsigned char table[4 * 9 * 2]

cdef struct Latch:
    int state, rank, moves, stale_packets, candidate_count
    int sequence, candidate_sequence
    long long ssrc, candidate_ssrc
    bint rtcp, raw, held, natted, asymmetric, barred
    double heard, since, told
    Source source, hint, via, sibling, left, candidate


cdef inline bint same(const Source *one, const Source *other) noexcept nogil:
    return memcmp(one, other, sizeof(Source)) == 0


cdef inline bint same_host(const Source *one, const Source *other) noexcept nogil:
    return one.family == other.family and memcmp(one, other, 20) == 0


cdef inline bint reachable(const Source *at) noexcept nogil:
    """Not port 0, unspecified, multicast or broadcast."""
    cdef int i
    if at.port == 0:
        return False
    if at.family == 4:
        if (at.host[0] & 0xF0) == 0xE0:
            return False
        return not (at.host[0] == at.host[1] == at.host[2] == at.host[3] and at.host[0] in (0, 255))
    if at.host[0] == 255:
        return False
    for i in range(16):
        if at.host[i]:
            return True
    return False


cdef inline int ahead(int sequence, int last) noexcept nogil:
    return ((sequence - last + 0x8000) & 0xFFFF) - 0x8000


cdef inline int rank_of(const Latch *latch, const Source *source) noexcept nogil:
    if same(source, &latch.hint):
        return 3
    if (
        same_host(source, &latch.hint) or same_host(source, &latch.via) or same_host(source, &latch.sibling)
    ):
        return 2
    return 1


cdef inline void latch_begin(Latch *latch, bint rtcp, bint raw) noexcept nogil:
    memset(latch, 0, sizeof(Latch))
    latch.rtcp, latch.raw = rtcp, raw
    latch.ssrc = latch.candidate_ssrc = -1
    latch.sequence = latch.candidate_sequence = -1


cdef inline void relearn(Latch *latch, double now) noexcept nogil:
    latch.state = RELEARNING
    latch.told = now
    latch.stale_packets = 0
    latch.candidate.family = 0
    latch.barred = False


cdef inline void latch_tell(
    Latch *latch, const Source *hint, const Source *via, bint natted, bint moved, bint asymmetric, double now
) noexcept nogil:
    cdef bint new
    if not reachable(hint):
        latch.held = True
        return
    new = moved or not same(hint, &latch.hint)
    latch.held = False
    latch.hint, latch.via = hint[0], via[0]
    latch.natted, latch.asymmetric = natted, asymmetric
    if not new or latch.source.family == 0:
        return
    latch.rank = rank_of(latch, &latch.source)
    if moved or not same(&latch.source, hint):
        relearn(latch, now)
    elif latch.state == RELEARNING:
        latch.state = LATCHED


cdef inline void latch_follow(Latch *latch, const Source *source, double now) noexcept nogil:
    latch.sibling = source[0]
    latch.sibling.port = 0
    if latch.source.family and not same_host(&latch.source, source):
        relearn(latch, now)


cdef inline void latch_restore(Latch *latch, const Source *source, double now) noexcept nogil:
    latch.source, latch.state = source[0], LATCHED
    latch.heard = latch.since = now
    latch.rank = rank_of(latch, source)


cdef inline Source *latch_destination(Latch *latch) noexcept nogil:
    """Where to send now; NULL for nowhere."""
    cdef Source *hint = NULL
    if latch.hint.family:
        hint = &latch.hint
    if latch.held:
        return NULL
    if latch.asymmetric:
        return hint
    if latch.source.family and (latch.state != RELEARNING or latch.natted):
        return &latch.source
    return NULL if latch.natted else hint


cdef inline int see_old(Latch *latch, bint media, double now, const Limits *limits) noexcept nogil:
    latch.stale_packets += media
    if latch.rank >= 2:
        if latch.stale_packets >= limits.return_packets and now - latch.told >= limits.return_after:
            return RETURNED
        return STALE
    return STALE if now - latch.told < limits.grace else GONE


cdef inline int probe(
    Latch *latch, const Source *source, bint numbered, long long ssrc, int sequence, const Limits *limits
) noexcept nogil:
    cdef bint follows = same(source, &latch.candidate) and (
        not numbered
        or (
            ssrc == latch.candidate_ssrc
            and 0 < ahead(sequence, latch.candidate_sequence) <= limits.candidate_gap
        )
    )
    latch.candidate_count = latch.candidate_count + 1 if follows else 1
    latch.candidate = source[0]
    if numbered or not follows:
        latch.candidate_ssrc, latch.candidate_sequence = ssrc, sequence
    if latch.candidate_count >= (
        limits.probation_natted if latch.natted or not numbered else limits.probation
    ):
        return PROVEN
    return UNPROVEN


cdef inline int see(
    Latch *latch, const Source *source, bint media, bint numbered, long long ssrc, int sequence, double now,
    const Limits *limits
) noexcept nogil:
    cdef bint continues, barred
    cdef int step, rank
    cdef double silent
    if same(source, &latch.source):
        return see_old(latch, media, now, limits) if latch.state == RELEARNING else OWN
    continues = numbered and ssrc == latch.ssrc and latch.sequence >= 0
    step = ahead(sequence, latch.sequence) if continues else 0
    rank = rank_of(latch, source)
    barred = latch.barred and same(source, &latch.left) and now - latch.since < limits.learning
    if latch.state == LATCHED or (latch.state == TENTATIVE and not media):
        silent = now - latch.heard
        if continues and 0 < step <= limits.gap and silent >= limits.continues_after:
            return CONTINUED
        if silent < (limits.silence if latch.state == LATCHED else limits.quiet):
            if rank > latch.rank and now - latch.since < limits.learning and not barred:
                return EXPECTED
            return FOREIGN
        if continues and -limits.gap < step <= 0:
            return FOREIGN
    elif barred:
        return FOREIGN
    elif continues and 0 < step <= limits.gap:
        return CONTINUED
    if rank >= 2:
        return EXPECTED
    return probe(latch, source, numbered, ssrc, sequence, limits)


cdef inline void learn(Latch *latch, const Source *source, int verdict, int seen, double now) noexcept nogil:
    if not same(source, &latch.source):
        latch.left = latch.source
        latch.barred = latch.state == RELEARNING or seen == CONTINUED
        latch.source = source[0]
        latch.moves += 1
        latch.since = now
        latch.ssrc = latch.sequence = -1
    latch.rank = rank_of(latch, source)
    latch.state = LATCHED if verdict == LATCH else TENTATIVE
    latch.candidate.family = 0


cdef inline int latch_judge(
    Latch *latch, const Source *source, int kind, long long ssrc, int sequence, double now,
    const Limits *limits
) noexcept nogil:
    """What becomes of a packet, as latch.Verdict."""
    cdef bint media, numbered
    cdef int seen, verdict
    if kind == OTHER and not latch.raw:
        return DROP_MALFORMED
    if not reachable(source):
        return DROP_SOURCE
    media = latch.raw or kind == (RTCP if latch.rtcp else RTP)
    numbered = kind == RTP and not latch.rtcp and not latch.raw
    seen = see(latch, source, media, numbered, ssrc, sequence, now, limits)
    verdict = limits.table[(latch.state * SEEN + seen) * 2 + (0 if media else 1)]
    if verdict == LATCH or verdict == TAKE:
        learn(latch, source, verdict, seen, now)
    if verdict < DROP_FOREIGN and same(source, &latch.source):
        latch.heard = now
        if numbered and not (ssrc == latch.ssrc and -limits.gap < ahead(sequence, latch.sequence) <= 0):
            latch.ssrc, latch.sequence = ssrc, sequence
    return verdict
