# Indexing a message: one walk over the header, then the fields that every message needs.


cdef enum:
    ROWS_INSIDE = 16  # rows kept in the message itself; most have fewer

cdef struct Index:
    word present              # bit n: a row of _NAMES[n] is there
    int rows_at               # where the header begins
    int body_at               # behind the empty line
    int row_count
    unsigned char first[8]    # first row of VIA .. CONTENT_LENGTH, where present
    Row* row                  # and one more, which begins at the empty line
    Row inside[ROWS_INSIDE + 1]
    int status                # 0: a request
    int cseq
    int max_forwards
    Span verb                 # method in the start line of a request, in the CSeq of a response
    Span target               # Request-URI or reason phrase
    Span caller
    Span caller_tag
    Span callee
    Span callee_tag
    Span call
    ViaParts via

cdef Row rows_read[MAX_ROWS + 1]   # filled by one parse at a time: the GIL is held


cdef inline int row_start(Index* index, int i) noexcept:
    return <int>index.row[i].start


cdef inline int row_value(Index* index, int i) noexcept:
    """Behind the colon."""
    return <int>index.row[i].start + index.row[i].name


cdef inline int row_end(Index* index, int i) noexcept:
    """At the CRLF."""
    return <int>index.row[i + 1].start - 2


cdef inline bint present(Index* index, int known) noexcept:
    return index.present >> known & 1


# Reading: what returns a bint says False if the message is to be refused


cdef bint read_index(text s, int n, Index* index) except -1:
    """Index the message of ``n`` octets; ``index`` is all zeros before."""
    cdef int end = line_end(s, 0, n)
    if end < 0 or not read_start(s, end, index):
        return False
    index.rows_at = end + 2
    return read_rows(s, n, index) and read_fields(s, index)


cdef bint read_start(text s, int end, Index* index) noexcept:
    cdef int at
    if LOWER[s[0]] == c"s" and same(s, b"sip/", 4):
        if end < 11 or memcmp(s + 4, b"2.0 ", 4) or not 49 <= s[8] <= 54:
            return False
        if not (48 <= s[9] <= 57 and 48 <= s[10] <= 57) or (end > 11 and s[11] != 32):
            return False
        index.status = (s[8] - 48) * 100 + (s[9] - 48) * 10 + s[10] - 48
        index.target.start, index.target.end = min(12, end), end
        return True
    at = token_end(s, 0)
    if not at or s[at] != 32:
        return False
    index.verb.end = at
    at += 1
    index.target.start = at
    if not 97 <= LOWER[s[at]] <= 122:
        return False
    while SCHEME[s[at]]:
        at += 1
    if s[at] != c":" or not URI[s[at + 1]]:
        return False
    while URI[s[at]]:
        at += 1
    index.target.end = at
    return end - at == 8 and s[at] == 32 and same(s + at + 1, b"sip/2.0", 7)


cdef inline int feeds_in(text s, int n) noexcept:
    """Number of line feeds; in blocks short enough for sums of one octet, which compilers add sixteen at a time."""
    cdef int total = 0, at = 0, stop, i
    cdef unsigned char some
    while at < n:
        stop = min(at + 240, n)
        some = 0
        for i in range(at, stop):
            some += s[i] == 10
        total += some
        at = stop
    return total


cdef inline int read_name(text s, int at, int n, int* size) noexcept:
    """Index into _NAMES of the row that begins at ``at`` and octets before its colon; -1 if it has no good name."""
    cdef int known = known_row(s + at, n - at, size)
    if known:
        return known
    size[0] = token_end(s, at) - at
    if not size[0]:
        return -1
    known = known_name(s + at, size[0])
    while s[at + size[0]] == 32 or s[at + size[0]] == 9:
        size[0] += 1
    return known if s[at + size[0]] == c":" and size[0] < 65535 else -1


cdef bint read_rows(text s, int n, Index* index) except -1:
    cdef int at = index.rows_at, end, size, known, previous = 0, count = 0, lines = 1
    while s[at] != 13:
        end = line_end(s, at, n)
        if end < 0:
            return False
        lines += 1
        if s[at] == 32 or s[at] == 9:  # a fold: the row goes on
            if not count:
                return False
            at = end + 2
            continue
        if count == MAX_ROWS:
            return False
        known = follows[previous]
        size = name_of[known].size
        if not known or n - at < 24 or s[at + size] != c":" or not is_name(s + at, known):
            known = read_name(s, at, n, &size)
            if known < 0:
                return False
            follows[previous] = <unsigned char>known
        previous = known
        if 0 < known <= CONTENT_LENGTH:
            if not present(index, known):
                index.first[known] = <unsigned char>count
            elif known >= FROM:
                return False
        index.present |= <word>1 << known
        rows_read[count].start = at
        rows_read[count].name = <unsigned short>(size + 1)
        rows_read[count].known = <unsigned short>known
        count += 1
        at = end + 2
    # A line feed that ends no line is a bare one.
    if s[at + 1] != 10 or feeds_in(s, at) != lines:
        return False
    rows_read[count].start = at
    return keep_rows(index, count, at + 2)


cdef bint keep_rows(Index* index, int count, int body_at) except -1:
    index.row_count = count
    index.body_at = body_at
    index.row = index.inside
    if count > ROWS_INSIDE:
        index.row = <Row*>PyMem_Malloc((count + 1) * sizeof(Row))
        if index.row == NULL:
            raise MemoryError
    memcpy(index.row, rows_read, (count + 1) * sizeof(Row))
    return True


cdef bint read_fields(text s, Index* index) noexcept:
    cdef int i, at, end
    cdef word mandatory = (1 << VIA) | (1 << FROM) | (1 << TO) | (1 << CALL_ID) | (1 << CSEQ)
    if index.present & mandatory != mandatory:
        return False
    i = index.first[VIA]
    if not read_via(s, row_value(index, i), row_end(index, i), &index.via):
        return False
    i = index.first[FROM]
    if not read_address(s, row_value(index, i), row_end(index, i), &index.caller, &index.caller_tag):
        return False
    i = index.first[TO]
    if not read_address(s, row_value(index, i), row_end(index, i), &index.callee, &index.callee_tag):
        return False
    i = index.first[CALL_ID]
    end = row_end(index, i)
    at = index.call.start = skip(s, row_value(index, i), end)
    while CALL[s[at]]:
        at += 1
    index.call.end = at
    if at == index.call.start or skip(s, at, end) != end or not read_cseq(s, index):
        return False
    index.max_forwards = -1
    if present(index, MAX_FORWARDS):
        i = index.first[MAX_FORWARDS]
        index.max_forwards = <int>number(s, row_value(index, i), row_end(index, i), 255)
        return index.max_forwards >= 0
    return True


cdef bint read_cseq(text s, Index* index) noexcept:
    cdef int i = index.first[CSEQ], stop = row_end(index, i)
    cdef int start = skip(s, row_value(index, i), stop), at = start, end
    while 48 <= s[at] <= 57:
        at += 1
    index.cseq = <int>number(s, start, at, 0x7FFFFFFF)
    start = skip(s, at, stop)
    end = token_end(s, start)
    if index.cseq < 0 or start == at or end == start or skip(s, end, stop) != stop:
        return False
    if not index.status:
        return end - start == index.verb.end and memcmp(s, s + start, end - start) == 0
    index.verb.start, index.verb.end = start, end
    return True


cdef long long length_of(text s, int n, Index* index) noexcept:
    """Octets of the body, which may be fewer than there are (RFC 3261 18.3); -1 if the message is to be refused."""
    cdef long long length, left = n - index.body_at
    cdef int i = index.first[CONTENT_LENGTH]
    if not present(index, CONTENT_LENGTH):
        return left
    length = number(s, row_value(index, i), row_end(index, i), MAX_MESSAGE)
    return length if length <= left else -1


# Streams: the length of a message before it is parsed


cdef long long length_in(text s, Py_ssize_t at, Py_ssize_t n, Py_ssize_t* header_end) noexcept:
    """Content-Length in the rows from ``at`` to ``n``; -1 absent, -2 malformed, -3 repeated.

    With ``header_end`` they end at an empty line, whose index goes there; -4 if there is none.
    """
    cdef text found
    cdef Py_ssize_t end, name_end
    cdef long long length = -1
    cdef bint last = False
    while not last:
        end = at
        while True:  # to the end of the row, folds included
            found = <text>memchr(s + end, 13, n - end)
            if found == NULL:
                if header_end != NULL:
                    return -4
                end, last = n, True
                break
            end = found - s
            if found[1] == 10 and found[2] != 32 and found[2] != 9:
                if header_end != NULL and found[2] == 13 and found[3] == 10:
                    header_end[0], last = end, True
                break
            end += 1
        if LOWER[s[at]] == c"l" or (LOWER[s[at]] == c"c" and n - at > 8 and LOWER[s[at + 8]] == c"l"):
            name_end = at  # "l" or "Content-Length", perhaps
            while TOKEN[s[name_end]]:
                name_end += 1
            if known_name(s + at, <int>(name_end - at)) == CONTENT_LENGTH:
                while s[name_end] == 32 or s[name_end] == 9:
                    name_end += 1
                if s[name_end] == c":":
                    if length != -1:
                        return -3
                    length = number(s, <int>name_end + 1, <int>end, MAX_MESSAGE)
                    if length < 0:
                        return -2
        at = end + 2
    return length


def body_length(bytes header not None):
    """Content-Length in a header without its last CRLF; -1 absent, -2 malformed, -3 repeated."""
    return length_in(<text>PyBytes_AS_STRING(header), 0, PyBytes_GET_SIZE(header), NULL)


def whole(bytes data not None, Py_ssize_t at, Py_ssize_t most):
    """Where the message that begins at ``at`` ends.

    0 unless all of it is there, it says its length and has ``most`` octets at most.
    """
    cdef text s = <text>PyBytes_AS_STRING(data)
    cdef Py_ssize_t n = PyBytes_GET_SIZE(data), header_end = 0, end
    cdef long long length
    if not 0 <= at < n or not TOKEN[s[at]] or n > MAX_MESSAGE:
        return 0
    length = length_in(s, at, n, &header_end)
    end = header_end + 4 + length
    return end if length >= 0 and end <= n and end - at <= most else 0
