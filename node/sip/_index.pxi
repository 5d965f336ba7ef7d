# Indexing a message: one walk over the header, then the fields that every message needs.


cdef Row rows_read[MAX_ROWS]       # filled by one parse at a time: the GIL is held


def body_length(bytes header not None):
    """Content-Length in a header without its last CRLF; -1 absent, -2 malformed, -3 repeated."""
    cdef text s = <text>PyBytes_AS_STRING(header)
    cdef text found
    cdef Py_ssize_t n = PyBytes_GET_SIZE(header), at = 0, end, name_end
    cdef long long length = -1
    while True:
        end = at
        while True:  # to the end of the row, folds included
            found = <text>memchr(s + end, 13, n - end)
            end = n if found == NULL else found - s
            if end == n or (s[end + 1] == 10 and s[end + 2] != 32 and s[end + 2] != 9):
                break
            end += 1
        if LOWER[s[at]] == c"c" or LOWER[s[at]] == c"l":
            name_end = token_end(s, <int>at)
            if known_name(s + at, <int>(name_end - at)) == CONTENT_LENGTH:
                while s[name_end] == 32 or s[name_end] == 9:
                    name_end += 1
                if s[name_end] == c":":
                    if length != -1:
                        return -3
                    length = number(s, <int>name_end + 1, <int>end, MAX_MESSAGE)
                    if length < 0:
                        return -2
        if end == n:
            return length
        at = end + 2


cdef class Indexed:
    """The octets of a message and where everything is in them."""

    cdef readonly bytes raw
    cdef readonly bint is_request
    cdef readonly str method
    cdef readonly int status
    cdef readonly int cseq
    cdef readonly int max_forwards
    cdef int row_count, rows_at, body_at
    cdef Row* row
    cdef short first_row[KNOWN]
    cdef Span target, phrase, verb, caller, caller_tag, callee, callee_tag, call
    cdef ViaParts via

    def __dealloc__(self):
        PyMem_Free(self.row)

    # Reading

    cdef bint read(self, bytes raw) except -1:
        """Index the message; False if it is to be refused."""
        cdef text s = <text>PyBytes_AS_STRING(raw)
        cdef Py_ssize_t n = PyBytes_GET_SIZE(raw)
        cdef int end
        if n > MAX_MESSAGE:
            return False
        if s[0] == 13:
            end = 0
            while s[end] == 13 and s[end + 1] == 10:
                end += 2
            raw = raw[end:]
            s = <text>PyBytes_AS_STRING(raw)
            n = PyBytes_GET_SIZE(raw)
        self.raw = raw
        end = line_end(s, 0, <int>n)
        if end < 0 or not self.read_start(s, end):
            return False
        self.rows_at = end + 2
        return self.read_rows(s, <int>n) and self.read_fields(s) and self.read_length(s, <int>n)

    cdef bint read_start(self, text s, int end) except -1:
        cdef int at, start
        if same(s, b"sip/", 4):
            if end < 11 or memcmp(s + 4, b"2.0 ", 4) or not 49 <= s[8] <= 54:
                return False
            if not (48 <= s[9] <= 57 and 48 <= s[10] <= 57) or (end > 11 and s[11] != 32):
                return False
            self.status = (s[8] - 48) * 100 + (s[9] - 48) * 10 + s[10] - 48
            self.phrase.start, self.phrase.end = min(12, end), end
            return True
        self.is_request = True
        at = token_end(s, 0)
        if not at or s[at] != 32:
            return False
        self.verb.end = at
        start = at = at + 1
        if not 97 <= LOWER[s[at]] <= 122:
            return False
        while HOST[s[at]] or s[at] == c"+":
            if s[at] == c"_":
                return False
            at += 1
        if s[at] != c":" or not URI[s[at + 1]]:
            return False
        while URI[s[at]]:
            at += 1
        if end - at != 8 or s[at] != 32 or not same(s + at + 1, b"sip/2.0", 7):
            return False
        self.target.start, self.target.end = start, at
        self.method = method_of(s, self.verb.end)
        return True

    cdef bint read_rows(self, text s, int n) except -1:
        cdef int at = self.rows_at, end, name_end, known, i, count = 0, lines = 1, feeds = 0
        memset(self.first_row, 0xFF, sizeof(self.first_row))
        while at < n:
            if s[at] == 13:
                if s[at + 1] != 10:
                    return False
                break
            end = line_end(s, at, n)
            if end < 0:
                return False
            lines += 1
            if s[at] == 32 or s[at] == 9:
                if not count:
                    return False
                rows_read[count - 1].end = end
                at = end + 2
                continue
            name_end = token_end(s, at)
            if name_end == at or count == MAX_ROWS:
                return False
            known = known_name(s + at, name_end - at)
            while s[name_end] == 32 or s[name_end] == 9:
                name_end += 1
            if s[name_end] != c":":
                return False
            if known:
                if self.first_row[known] < 0:
                    self.first_row[known] = count
                elif FROM <= known <= CONTENT_LENGTH:
                    return False
            rows_read[count].start, rows_read[count].value = at, name_end + 1
            rows_read[count].end, rows_read[count].known = end, known
            count += 1
            at = end + 2
        if at >= n:
            return False
        for i in range(at):  # a line feed that ends no line would be a bare one
            feeds += s[i] == 10
        if feeds != lines:
            return False
        self.row = <Row*>PyMem_Malloc(max(count, 1) * sizeof(Row))
        if self.row == NULL:
            raise MemoryError
        memcpy(self.row, rows_read, count * sizeof(Row))
        self.row_count = count
        self.body_at = at + 2
        return True

    cdef bint read_fields(self, text s) noexcept:
        cdef Row row
        cdef int at, known
        for known in range(VIA, CSEQ + 1):
            if self.first_row[known] < 0:
                return False
        row = self.row[self.first_row[VIA]]
        if not read_via(s, row.value, row.end, &self.via):
            return False
        row = self.row[self.first_row[FROM]]
        if not read_address(s, row.value, row.end, &self.caller, &self.caller_tag):
            return False
        row = self.row[self.first_row[TO]]
        if not read_address(s, row.value, row.end, &self.callee, &self.callee_tag):
            return False
        row = self.row[self.first_row[CALL_ID]]
        self.call.start = skip(s, row.value, row.end)
        self.call.end = trim(s, self.call.start, row.end)
        for at in range(self.call.start, self.call.end):
            if s[at] <= 0x20 or s[at] == 0x7F:
                return False
        if self.call.start == self.call.end or not self.read_cseq(s):
            return False
        self.max_forwards = -1
        if self.first_row[MAX_FORWARDS] >= 0:
            row = self.row[self.first_row[MAX_FORWARDS]]
            self.max_forwards = <int>number(s, row.value, row.end, 255)
            return self.max_forwards >= 0
        return True

    cdef bint read_cseq(self, text s) noexcept:
        cdef Row row = self.row[self.first_row[CSEQ]]
        cdef int start = skip(s, row.value, row.end), at = start, end
        while 48 <= s[at] <= 57:
            at += 1
        self.cseq = <int>number(s, start, at, 0x7FFFFFFF)
        start = skip(s, at, row.end)
        end = token_end(s, start)
        if self.cseq < 0 or start == at or end == start or skip(s, end, row.end) != row.end:
            return False
        if self.is_request:
            return end - start == self.verb.end and memcmp(s, s + start, end - start) == 0
        self.verb.start, self.verb.end = start, end
        self.method = method_of(s + start, end - start)
        return True

    cdef bint read_length(self, text s, int n) except -1:
        cdef Row row
        cdef long long length
        if self.first_row[CONTENT_LENGTH] < 0:
            return True
        row = self.row[self.first_row[CONTENT_LENGTH]]
        length = number(s, row.value, row.end, MAX_MESSAGE)
        if length < 0 or length > n - self.body_at:
            return False
        if length < n - self.body_at:
            self.raw = cut(self.raw, 0, self.body_at + <int>length)
        return True
