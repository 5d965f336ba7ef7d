# Reading pieces of the grammar: the rules of grammar.py and via.py by hand, as offsets into the message.
#
# Every function stays before `end`, the CR of the row it reads; what it returns is behind what it has read.


cdef struct Row:             # ends two octets before the next one starts
    unsigned int start       # of the name
    unsigned short name      # octets of the name with its colon
    unsigned short known     # index into _NAMES, 0 if not in it

cdef struct Span:
    int start
    int end

cdef struct Param:
    Span name
    Span value  # start -1: no "="
    int end     # of the whole parameter, white space trimmed

cdef struct ViaParts:
    int start
    int end
    int next  # behind the comma, -1 if none
    Span transport
    Span host  # brackets included
    Span digits
    int port
    Span branch
    Span received  # value
    int rport
    Span received_at  # the parameter itself, start 0 if absent
    Span rport_at


cdef inline bint same(text s, text lower, int size) noexcept:
    """Whether ``size`` octets are these, letters in either case."""
    cdef int i
    for i in range(size):
        if LOWER[s[i]] != lower[i]:
            return False
    return True


cdef inline int known_name(text s, int size) noexcept:
    """Index into _NAMES of a header field name, a token of ``size`` octets; 0 if it is not there."""
    cdef int known
    if size == 1:
        return compact_of[s[0]]
    known = slot_of[slot(s, size)]
    if known and name_of[known].size == size and same(s, lower_of[known], size):
        return known
    return 0


cdef inline int colon_near(text s) noexcept:
    """Octets before the first colon if it is among the next eight, 8 if not."""
    cdef word found = load(s) ^ COLONS
    found = (found - ONES) & ~found & HIGHS
    return ctz(found) >> 3 if found else 8


cdef inline int known_row(text s, Py_ssize_t left, int* size) noexcept:
    """What ``known_name`` says of the row that begins here, and the size of the name; 0 if it has to look itself.

    ``left`` octets can be read. Finds names right before their colon, eight octets at a time.
    """
    cdef int known
    if left < 8:
        return 0
    size[0] = colon_near(s)
    if size[0] == 8 and left >= 16:
        size[0] += colon_near(s + 8)
        if size[0] == 16 and left >= 24:
            size[0] += colon_near(s + 16)
    if not size[0] or s[size[0]] != c":":
        return 0
    if size[0] == 1:
        return compact_of[s[0]]
    known = slot_of[slot(s, size[0])]
    return known if known and name_of[known].size == size[0] and is_name(s, known) else 0


cdef inline int skip(text s, int at, int end) noexcept:
    while s[at] <= 32 and at < end and SPACE[s[at]]:
        at += 1
    return at


cdef inline int trim(text s, int start, int end) noexcept:
    while end > start and SPACE[s[end - 1]]:
        end -= 1
    return end


cdef inline int token_end(text s, int at) noexcept:
    while TOKEN[s[at]]:
        at += 1
    return at


cdef inline int line_end(text s, int at, int n) noexcept:
    """Index of the next CR, which LF must follow; -1 if not."""
    cdef text found = <text>memchr(s + at, 13, n - at)
    if found == NULL or found[1] != 10:
        return -1
    return <int>(found - s)


cdef inline int quoted_end(text s, int at, int end) noexcept:
    """Behind the quoted-string that begins at ``at``; -1 if it does not end."""
    at += 1
    while at < end:
        if s[at] == c'"':
            return at + 1
        at += 2 if s[at] == c"\\" else 1
    return -1


cdef int next_comma(text s, int at, int end) noexcept:
    """The next comma outside quotes and angle brackets, -1 if none."""
    cdef text found
    while at < end:
        if s[at] == c",":
            return at
        if s[at] == c'"':
            at = quoted_end(s, at, end)
            if at < 0:
                return -1
        elif s[at] == c"<":
            found = <text>memchr(s + at, c">", end - at)
            if found == NULL:
                return -1
            at = <int>(found - s) + 1
        else:
            at += 1
    return -1


cdef long long number(text s, int start, int end, long long limit) noexcept:
    """Decimal up to ``limit``, -1 if it is anything else. White space around it is passed over."""
    cdef long long value
    start = skip(s, start, end)
    if start >= end or not 48 <= s[start] <= 57:
        return -1
    value = s[start] - 48
    start += 1
    while start < end and 48 <= s[start] <= 57:
        if value <= limit:  # beyond it only the digits still matter
            value = value * 10 + s[start] - 48
        start += 1
    return value if value <= limit and skip(s, start, end) == end else -1


cdef int read_param(text s, int at, int end, Param* param) noexcept:
    """Read the parameter whose ";" is at ``at``; the index behind it and its white space, -1 if malformed."""
    at = skip(s, at + 1, end)
    param.name.start = at
    at = token_end(s, at)
    param.name.end = param.end = at
    param.value.start = -1
    if at == param.name.start:
        return -1
    at = skip(s, at, end)
    if at == end or s[at] != c"=":
        return at
    param.end = at + 1
    at = skip(s, at + 1, end)
    param.value.start = at
    if at < end and s[at] == c'"':
        at = quoted_end(s, at, end)
        if at < 0:
            return -1
    else:
        while VALUE[s[at]]:  # a CR ends it, if nothing else
            at += 1
    param.value.end = at
    if at > param.value.start:
        param.end = at
    return skip(s, at, end)


cdef inline bint named(text s, Param* param, text lower, int size) noexcept:
    return param.name.end - param.name.start == size and same(s + param.name.start, lower, size)


cdef int read_via(text s, int at, int end, ViaParts* via) noexcept:
    """Read one Via value (see ``via.py``); 0 if it is malformed."""
    cdef Param param
    memset(via, 0, sizeof(ViaParts))
    at = via.start = skip(s, at, end)
    if end - at > 8 and memcmp(s + at, b"SIP/2.0/", 8) == 0:
        at += 7
    else:
        if end - at < 3 or not same(s + at, b"sip", 3):
            return 0
        at = skip(s, at + 3, end)
        if s[at] != c"/":
            return 0
        at = skip(s, at + 1, end)
        if end - at < 3 or memcmp(s + at, b"2.0", 3):
            return 0
        at = skip(s, at + 3, end)
        if s[at] != c"/":
            return 0
    at = via.transport.start = skip(s, at + 1, end)
    at = via.transport.end = token_end(s, at)
    if at == via.transport.start or at == end or not SPACE[s[at]]:
        return 0
    at = via.host.start = skip(s, at, end)
    if at < end and s[at] == c"[":
        at += 1
        while s[at] == c":" or s[at] == c"." or 48 <= s[at] <= 57 or 97 <= LOWER[s[at]] <= 102:
            at += 1
        if s[at] != c"]" or at == via.host.start + 1:
            return 0
        at += 1
    else:
        while HOST[s[at]]:
            at += 1
    via.host.end = at
    if at == via.host.start:
        return 0
    at = skip(s, at, end)
    if at < end and s[at] == c":":
        at = via.digits.start = skip(s, at + 1, end)
        while 48 <= s[at] <= 57:
            at += 1
        via.digits.end = at
        via.port = <int>number(s, via.digits.start, at, 65535)
        if via.port < 0 or at - via.digits.start > 5:
            return 0
        at = skip(s, at, end)
    while at < end and s[at] == c";":
        at = read_param(s, at, end, &param)
        if at < 0:
            return 0
        keep_via_param(s, &param, via)
    via.end = trim(s, via.start, at)
    via.next = -1
    if at < end:
        if s[at] != c",":
            return 0
        via.next = at + 1
    return 1


cdef inline void keep_via_param(text s, Param* param, ViaParts* via) noexcept:
    cdef int first = LOWER[s[param.name.start]]
    if first == c"b":
        if named(s, param, b"branch", 6) and not via.branch.start:
            via.branch.start = via.branch.end = param.name.end
            if param.value.start >= 0:
                via.branch = param.value
    elif first == c"r":
        if named(s, param, b"rport", 5) and not via.rport_at.start:
            via.rport_at.start, via.rport_at.end = param.name.start, param.end
            if param.value.start >= 0:
                via.rport = max(0, <int>number(s, param.value.start, param.value.end, 65535))
        elif named(s, param, b"received", 8) and not via.received_at.start:
            via.received_at.start, via.received_at.end = param.name.start, param.end
            if param.value.start >= 0:
                via.received = param.value


cdef int read_address(text s, int at, int end, Span* uri, Span* tag) noexcept:
    """Read URI and tag of a From or To value (see ``grammar.name_addr``); 0 if it is malformed."""
    cdef Param param
    cdef int start = at
    tag.start = tag.end = 0
    while True:
        while DISPLAY[s[at]]:
            at += 1
        if at >= end or s[at] == c"<" or s[at] == c";":
            break
        if s[at] == c'"':
            at = quoted_end(s, at, end)
            if at < 0:
                return 0
        else:
            at += 1  # a CR that begins a fold
    if at < end and s[at] == c"<":
        at += 1
        start = at
        while True:
            while BRACKETED[s[at]]:
                at += 1
            if s[at] != 13 or at == end:
                break
            at += 1  # a fold
        if s[at] != c">":
            return 0
        uri.start = skip(s, start, at)
        uri.end = trim(s, uri.start, at)
        at = skip(s, at + 1, end)
    else:
        uri.start = skip(s, start, at)
        uri.end = trim(s, uri.start, at)
        for start in range(uri.start, uri.end):
            if not VALUE[s[start]] or s[start] == c">":
                return 0
    if uri.start == uri.end:
        return 0
    while at < end:
        if s[at] != c";":
            return 0
        at = read_param(s, at, end, &param)
        if at < 0:
            return 0
        if not tag.start and named(s, &param, b"tag", 3):
            tag.start = tag.end = param.name.end
            if param.value.start >= 0:
                tag[0] = param.value
    return 1
