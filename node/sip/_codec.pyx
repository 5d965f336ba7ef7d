# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The SIP codec, compiled. Interface, bytes and errors are those of its Python twin, ``codec_python``.

``parse`` walks over a message once and keeps offsets: the rows of the header, the parts of the top Via, URI and tag of
From and To. Attributes cut their octets out of ``raw`` when asked. What changes a message lists pieces (runs of
``raw`` and what goes between them) and copies them into one new bytes object.

Only what is accepted is decided here. A message that is not accepted goes to the twin, which words the refusal; so
``read`` merely has to say no in the same cases, and a property test and a fuzz target see to that.

Two invariants keep the scans in bounds: every row is followed by CRLF inside ``raw``, and bytes objects end in NUL; so
a scan over token characters stops by itself. All else compares with the end of its row.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.string cimport memchr, memcmp, memcpy, memset

from node.sip import codec_python
from node.sip.derived import ack_for, cancel_for
from node.sip.grammar import unfold

ctypedef const unsigned char* text

cdef enum:
    MAX_ROWS = 256
    KNOWN = 48
    MAX_MESSAGE = 1 << 30
    # Header fields that the codec itself looks at; the rest of _NAMES follows.
    VIA = 1
    FROM, TO, CALL_ID, CSEQ, MAX_FORWARDS, CONTENT_LENGTH, ROUTE, TIMESTAMP

cdef struct Row:
    int start  # of the name
    int value  # behind the colon
    int end    # at the CRLF
    int known  # index into _NAMES, 0 if not in it

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

cdef struct Piece:
    text at
    Py_ssize_t size

# Names with an index of their own: those above in that order, those with a compact form, and frequent ones.
cdef tuple _NAMES = (
    b"", b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Max-Forwards", b"Content-Length", b"Route", b"Timestamp",
    b"Contact", b"Record-Route", b"Content-Type", b"Content-Encoding", b"Supported", b"Event", b"Refer-To", b"Subject",
    b"Allow-Events", b"Session-Expires", b"Identity", b"Identity-Info", b"Referred-By", b"Accept-Contact",
    b"Reject-Contact", b"Request-Disposition", b"Require", b"Proxy-Require", b"Expires", b"Path", b"Authorization",
    b"Proxy-Authorization", b"User-Agent", b"Allow",
)
cdef tuple _METHODS = tuple(codec_python.METHODS.items())
cdef dict _IDS = {name.lower().decode(): index for index, name in enumerate(_NAMES) if index}
cdef dict _COMPACT = codec_python.COMPACT

cdef text name_of[KNOWN]           # spelled as RFC 3261 does
cdef text lower_of[KNOWN]
cdef int size_of[KNOWN]
cdef unsigned char slot_of[256]    # hash of length, first and last letter -> index into _NAMES
cdef unsigned char compact_of[256]
cdef unsigned int slot_a, slot_b
cdef unsigned char TOKEN[256]
cdef unsigned char LOWER[256]
cdef unsigned char SPACE[256]
cdef unsigned char URI[256]
cdef unsigned char VALUE[256]      # may stand in an unquoted parameter value
cdef unsigned char HOST[256]
cdef list _kept = []               # owns the octets that name_of and lower_of point into

cdef Row rows_read[MAX_ROWS]       # filled by one parse at a time: the GIL is held
cdef Piece pieces[2 * MAX_ROWS + 32]
cdef int piece_count


cdef inline unsigned int slot(text s, int size) noexcept:
    return (size + slot_a * LOWER[s[0]] + slot_b * LOWER[s[size - 1]]) & 255


cdef int _prepare() except -1:
    global slot_a, slot_b
    cdef int i, c
    cdef bytes lower
    for c in range(256):
        LOWER[c] = c + 32 if 65 <= c <= 90 else c
        TOKEN[c] = c < 128 and (chr(c).isalnum() or chr(c) in "-.!%*_+`'~")
        HOST[c] = c < 128 and (chr(c).isalnum() or chr(c) in "._-")
        SPACE[c] = c in b" \t\r\n"
        URI[c] = c > 0x20 and c != 0x7F and c not in b'<>"'
        VALUE[c] = c not in b' \t\r\n;,"'
    for i in range(1, len(_NAMES)):
        lower = _NAMES[i].lower()
        _kept.append(lower)
        name_of[i] = <text>PyBytes_AS_STRING(_NAMES[i])
        lower_of[i] = <text>PyBytes_AS_STRING(lower)
        size_of[i] = len(lower)
    for letter, long_form in _COMPACT.items():
        compact_of[<int>ord(letter)] = _IDS[long_form]
        compact_of[<int>ord(letter.upper())] = _IDS[long_form]
    for slot_a in range(1, 256):
        for slot_b in range(1, 256):
            if _fill_slots():
                return 0
    raise AssertionError("no collision-free table of header field names")


cdef bint _fill_slots() noexcept:
    cdef int i
    cdef unsigned int at
    memset(slot_of, 0, 256)
    for i in range(1, len(_NAMES)):
        at = slot(lower_of[i], size_of[i])
        if slot_of[at]:
            return False
        slot_of[at] = i
    return True


_prepare()


# Scanning


cdef inline bint same(text s, text lower, int size) noexcept:
    """Whether ``size`` octets are these, letters in either case."""
    cdef int i
    for i in range(size):
        if LOWER[s[i]] != lower[i]:
            return False
    return True


cdef inline int known_name(text s, int size) noexcept:
    """Index into _NAMES of a header field name, 0 if it is not there."""
    cdef int known
    if size == 1:
        return compact_of[s[0]]
    known = slot_of[slot(s, size)]
    if known and size_of[known] == size and (memcmp(s, name_of[known], size) == 0 or same(s, lower_of[known], size)):
        return known
    return 0


cdef inline int skip(text s, int at, int end) noexcept:
    while at < end and SPACE[s[at]]:
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
    cdef long long value = 0
    start = skip(s, start, end)
    end = trim(s, start, end)
    if start == end:
        return -1
    while start < end:
        if not 48 <= s[start] <= 57:
            return -1
        if value <= limit:  # beyond it only the digits still matter
            value = value * 10 + s[start] - 48
        start += 1
    return value if value <= limit else -1


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
        while at < end and VALUE[s[at]]:
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
    while at < end and s[at] != c"<" and s[at] != c";":
        if s[at] == c'"':
            at = quoted_end(s, at, end)
            if at < 0:
                return 0
        else:
            at += 1
    if at < end and s[at] == c"<":
        at += 1
        start = at
        while at < end and s[at] != c">":
            if s[at] == c"<" or s[at] == c'"':
                return 0
            at += 1
        if at == end:
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


# Splicing


cdef inline void put(text at, Py_ssize_t size) noexcept:
    global piece_count
    pieces[piece_count].at = at
    pieces[piece_count].size = size
    piece_count += 1


cdef inline void put_bytes(bytes octets) noexcept:
    put(<text>PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets))


cdef bytes join():
    cdef Py_ssize_t size = 0
    cdef int i
    cdef bytes whole
    cdef char* at
    for i in range(piece_count):
        size += pieces[i].size
    whole = PyBytes_FromStringAndSize(NULL, size)
    at = PyBytes_AS_STRING(whole)
    for i in range(piece_count):
        memcpy(at, pieces[i].at, pieces[i].size)
        at += pieces[i].size
    return whole


cdef int decimal(unsigned char* digits, long long value) noexcept:
    """Write a number that is not negative; how many digits it took (up to 20)."""
    cdef unsigned char reverse[20]
    cdef int size = 0, i
    while True:
        reverse[size] = <unsigned char>(48 + value % 10)
        size += 1
        value //= 10
        if not value:
            break
    for i in range(size):
        digits[i] = reverse[size - 1 - i]
    return size


cdef inline bytes cut(bytes raw, int start, int end):
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(raw) + start, end - start)


cdef inline bytes value(bytes raw, int start, int end):
    """Trimmed and unfolded."""
    cdef text s = <text>PyBytes_AS_STRING(raw)
    start = skip(s, start, end)
    end = trim(s, start, end)
    cdef bytes found = cut(raw, start, end)
    if memchr(s + start, 13, end - start) != NULL:
        return unfold(found)
    return found


cdef inline bytes bare_host(bytes raw, Span host):
    if host.end > host.start + 1 and raw[host.start] == c"[" and raw[host.end - 1] == c"]":
        return cut(raw, host.start + 1, host.end - 1)
    return cut(raw, host.start, host.end)


cdef inline str method_of(text s, int size):
    cdef bytes known
    cdef int i
    for i in range(len(_METHODS)):
        known = <bytes>(<tuple>_METHODS[i])[0]
        if PyBytes_GET_SIZE(known) == size and memcmp(PyBytes_AS_STRING(known), s, size) == 0:
            return <str>(<tuple>_METHODS[i])[1]
    return PyUnicode_DecodeASCII(<const char*>s, size, NULL)


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


def parse(bytes raw not None):
    """One whole message: a datagram, or what the framer cut from a stream. Raises ParseError."""
    cdef Message message = Message.__new__(Message)
    if message.read(raw):
        return message
    return codec_python.parse(raw)


cdef class Message:
    """A request or response; nothing in it ever changes. Documented at ``message.Message``, its Python twin."""

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

    # What the message says

    @property
    def uri(self):
        return cut(self.raw, self.target.start, self.target.end)

    @property
    def reason(self):
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        return PyUnicode_DecodeUTF8(<char*>s + self.phrase.start, self.phrase.end - self.phrase.start, "replace")

    @property
    def call_id(self):
        return cut(self.raw, self.call.start, self.call.end)

    @property
    def from_uri(self):
        return cut(self.raw, self.caller.start, self.caller.end)

    @property
    def from_tag(self):
        return cut(self.raw, self.caller_tag.start, self.caller_tag.end)

    @property
    def to_uri(self):
        return cut(self.raw, self.callee.start, self.callee.end)

    @property
    def to_tag(self):
        return cut(self.raw, self.callee_tag.start, self.callee_tag.end)

    @property
    def branch(self):
        return cut(self.raw, self.via.branch.start, self.via.branch.end)

    @property
    def sent_by(self):
        cdef bytes host = cut(self.raw, self.via.host.start, self.via.host.end)
        if not self.via.digits.start:
            return host
        return host + b":" + cut(self.raw, self.via.digits.start, self.via.digits.end)

    @property
    def via_host(self):
        return bare_host(self.raw, self.via.host)

    @property
    def via_port(self):
        return self.via.port

    @property
    def via_transport(self):
        return cut(self.raw, self.via.transport.start, self.via.transport.end).decode().upper()

    @property
    def via_count(self):
        return len(self.values("via"))

    @property
    def top_via(self):
        return cut(self.raw, self.via.start, self.via.end)

    @property
    def body(self):
        return cut(self.raw, self.body_at, <int>PyBytes_GET_SIZE(self.raw))

    @property
    def key(self):
        global piece_count
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef ViaParts* via = &self.via
        cdef int size = self.verb.end - self.verb.start
        cdef bint is_ack = size == 3 and memcmp(s + self.verb.start, b"ACK", 3) == 0
        if via.branch.end - via.branch.start <= 7 or memcmp(s + via.branch.start, b"z9hG4bK", 7):
            method = b"INVITE" if is_ack else self.method.encode()
            return b" ".join(
                (b"2543", self.uri, self.from_tag, self.call_id, b"%d" % self.cseq, self.top_via, method))
        piece_count = 0
        put(s + via.branch.start, via.branch.end - via.branch.start)
        put(b" ", 1)
        put(s + via.host.start, via.host.end - via.host.start)
        if via.digits.start:
            put(b":", 1)
            put(s + via.digits.start, via.digits.end - via.digits.start)
        put(b" ", 1)
        if is_ack:
            put(b"INVITE", 6)
        else:
            put(s + self.verb.start, size)
        return join()

    cdef int next_row(self, int after, int known, bytes name) noexcept:
        """The next row of a name: its index in _NAMES, or 0 and the name in lower case. -1 if there is none."""
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef int i, size
        for i in range(after + 1, self.row_count):
            if self.row[i].known != known:
                continue
            if known:
                return i
            size = <int>PyBytes_GET_SIZE(name)
            if (size < self.row[i].value - self.row[i].start and not TOKEN[s[self.row[i].start + size]]
                    and same(s + self.row[i].start, <text>PyBytes_AS_STRING(name), size)):
                return i
        return -1

    cdef list rows_of(self, str name):
        """Indices of the rows of a name."""
        cdef int known = _IDS.get(name, 0)
        cdef bytes lower = None if known else name.encode()
        cdef int i = self.first_row[known] if known else self.next_row(-1, 0, lower)
        found = []
        while i >= 0:
            found.append(i)
            i = self.next_row(i, known, lower)
        return found

    def has(self, str name not None):
        cdef int known = _IDS.get(name, 0)
        if known:
            return self.first_row[known] >= 0
        return self.next_row(-1, 0, name.encode()) >= 0

    def first(self, str name not None):
        cdef int known = _IDS.get(name, 0)
        cdef int i = self.first_row[known] if known else self.next_row(-1, 0, name.encode())
        return None if i < 0 else value(self.raw, self.row[i].value, self.row[i].end)

    def all(self, str name not None):
        cdef int i
        return [value(self.raw, self.row[i].value, self.row[i].end) for i in self.rows_of(name)]

    def rows(self, str name not None):
        cdef int i
        return [cut(self.raw, self.row[i].start, self.row[i].end) for i in self.rows_of(name)]

    def values(self, str name not None):
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef int i, at, comma, end
        cdef bytes one
        found = []
        for i in self.rows_of(name):
            at = self.row[i].value
            while True:
                comma = next_comma(s, at, self.row[i].end)
                end = self.row[i].end if comma < 0 else comma
                one = value(self.raw, at, end)
                if one:
                    found.append(one)
                if comma < 0:
                    break
                at = comma + 1
        return found

    # What becomes of it

    cdef void put_stamped(self, text s, int run, bytes received, unsigned char* digits, long long rport) noexcept:
        """Put ``raw`` from ``run`` to the end of the top Via, stamped; at most seven pieces."""
        cdef ViaParts* via = &self.via
        cdef text host = s + via.host.start
        cdef int size = via.host.end - via.host.start, i
        cdef bint differs
        cdef bint rport_first = via.rport_at.start < via.received_at.start
        if host[0] == c"[":
            host, size = host + 1, size - 2
        differs = via.received_at.start or via.rport_at.start or PyBytes_GET_SIZE(received) != size
        for i in range(0 if differs else size):
            if LOWER[host[i]] != LOWER[(<text>PyBytes_AS_STRING(received))[i]]:
                differs = True
                break
        if not differs or not PyBytes_GET_SIZE(received):
            put(s + run, via.end - run)
            return
        if via.rport_at.start and (rport_first or not via.received_at.start):
            run = self.put_rport(s, run, digits, rport)
        if via.received_at.start:
            put(s + run, via.received_at.start - run)
            put(b"received=", 9)
            put_bytes(received)
            run = via.received_at.end
            if via.rport_at.start and not rport_first:
                run = self.put_rport(s, run, digits, rport)
        if run < via.end:
            put(s + run, via.end - run)
        if not via.received_at.start:
            put(b";received=", 10)
            put_bytes(received)

    cdef int put_rport(self, text s, int run, unsigned char* digits, long long rport) noexcept:
        put(s + run, self.via.rport_at.start - run)
        put(b"rport=", 6)
        put(digits, decimal(digits, rport))
        return self.via.rport_at.end

    cdef int without_values(self, text s, Row* row, int* count) noexcept:
        """Where a row goes on behind its first ``count`` values, -1 if nothing is left; lowers ``count``."""
        cdef int at = skip(s, row.value, row.end), comma, end
        while count[0]:
            comma = next_comma(s, at, row.end)
            end = row.end if comma < 0 else comma
            if skip(s, at, end) < end:
                count[0] -= 1
            if comma < 0:
                return -1
            at = comma + 1
        at = skip(s, at, row.end)
        return at if at < row.end else -1

    cdef set removed(self, tuple names):
        """Indices of the rows named, None if there are none."""
        cdef set rows = None
        for name in names:
            found = self.rows_of(name)
            if found:
                rows = rows or set()
                rows.update(found)
        return rows

    def forward(self, bytes uri, bytes via not None, int max_forwards, bytes received not None, int rport,
                int drop_routes=0, bytes insert not None=b"", tuple remove not None=()):
        global piece_count
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef unsigned char hops[20]
        cdef unsigned char port[20]
        cdef unsigned char length[20]
        cdef int run = self.rows_at, i, rest
        cdef Row* row
        cdef set removed = self.removed(remove) if remove else None
        piece_count = 0
        if uri is None or not self.is_request:
            put(s, self.rows_at)
        else:
            put(s, self.target.start)
            put_bytes(uri)
            put(b" SIP/2.0\r\n", 10)
        put_bytes(via)
        put(b"\r\n", 2)
        put_bytes(insert)
        for i in range(self.row_count):
            row = &self.row[i]
            if removed is not None and i in removed:
                put(s + run, row.start - run)
                run = row.end + 2
            elif row.known == VIA and i == self.first_row[VIA]:
                self.put_stamped(s, run, received, port, rport)
                run = self.via.end
            elif row.known == MAX_FORWARDS and max_forwards >= 0:
                rest = skip(s, row.value, row.end)
                put(s + run, rest - run)
                put(hops, decimal(hops, max_forwards))
                run = row.end
            elif row.known == ROUTE and drop_routes > 0:
                rest = self.without_values(s, row, &drop_routes)
                if rest < 0:
                    put(s + run, row.start - run)
                    run = row.end + 2
                else:
                    put(s + run, skip(s, row.value, row.end) - run)
                    run = rest
        put(s + run, self.body_at - 2 - run)
        if max_forwards >= 0 and self.first_row[MAX_FORWARDS] < 0:
            put(b"Max-Forwards: ", 14)
            put(hops, decimal(hops, max_forwards))
            put(b"\r\n", 2)
        if self.first_row[CONTENT_LENGTH] < 0:
            put(b"Content-Length: ", 16)
            put(length, decimal(length, PyBytes_GET_SIZE(self.raw) - self.body_at))
            put(b"\r\n", 2)
        put(s + self.body_at - 2, PyBytes_GET_SIZE(self.raw) - self.body_at + 2)
        return join()

    def pop_via(self, bytes insert not None=b""):
        global piece_count
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef Row* row = &self.row[self.first_row[VIA]]
        cdef int one = 1
        cdef int rest = self.without_values(s, row, &one)
        piece_count = 0
        put(s, self.rows_at)
        put_bytes(insert)
        if rest < 0:
            put(s + self.rows_at, row.start - self.rows_at)
            rest = row.end + 2
        else:
            put(s + self.rows_at, skip(s, row.value, row.end) - self.rows_at)
        put(s + rest, PyBytes_GET_SIZE(self.raw) - rest)
        return join()

    def next_via(self):
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef int i = self.first_row[VIA], at = self.via.next
        cdef ViaParts via
        if at < 0 or skip(s, at, self.row[i].end) == self.row[i].end:
            i = self.next_row(i, VIA, None)
            if i < 0:
                return None
            at = self.row[i].value
        if not read_via(s, at, self.row[i].end, &via):
            return None
        transport = cut(self.raw, via.transport.start, via.transport.end).decode().upper()
        return transport, bare_host(self.raw, via.host), via.port, bare_host(self.raw, via.received), via.rport

    def reply(self, int status, str reason not None, bytes to_tag not None, bytes received not None, int rport,
              bytes insert not None=b"", bytes body not None=b""):
        global piece_count
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef unsigned char code[20]
        cdef unsigned char port[20]
        cdef unsigned char length[20]
        cdef bytes phrase = reason.encode(errors="replace")
        cdef Row* row
        cdef int i, end
        piece_count = 0
        put(b"SIP/2.0 ", 8)
        put(code, decimal(code, status))
        put(b" ", 1)
        put_bytes(phrase)
        put(b"\r\n", 2)
        for i in range(self.row_count):
            row = &self.row[i]
            if not (VIA <= row.known <= CSEQ or (row.known == TIMESTAMP and status == 100)):
                continue
            if row.known == VIA and i == self.first_row[VIA]:
                self.put_stamped(s, row.start, received, port, rport)
                put(s + self.via.end, row.end + 2 - self.via.end)
            elif row.known == TO and self.callee_tag.start == self.callee_tag.end and PyBytes_GET_SIZE(to_tag):
                end = trim(s, row.start, row.end)
                put(s + row.start, end - row.start)
                put(b";tag=", 5)
                put_bytes(to_tag)
                put(b"\r\n", 2)
            else:
                put(s + row.start, row.end + 2 - row.start)
        put_bytes(insert)
        put(b"Content-Length: ", 16)
        put(length, decimal(length, PyBytes_GET_SIZE(body)))
        put(b"\r\n\r\n", 4)
        put_bytes(body)
        return join()

    def ack(self, response not None):
        return ack_for(self, response)

    def cancel(self, bytes insert not None=b""):
        return cancel_for(self, insert)
