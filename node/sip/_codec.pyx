# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The SIP codec, compiled. Interface, bytes and errors are those of its Python twin, ``codec_python``.

``parse`` walks over a message once and keeps offsets, all in one object: the rows of the header, the parts of the top Via, URI and tag of
From and To. Attributes cut their octets out of ``raw`` when asked. What changes a message lists pieces (runs of
``raw`` and what goes between them) and copies them into one new bytes object.

Only what is accepted is decided here. A message that is not accepted goes to the twin, which words the refusal; so
``read_index`` merely has to say no in the same cases, and a property test and a fuzz target see to that.

Two invariants keep the scans in bounds: every row is followed by CRLF inside ``raw``, and bytes objects end in NUL; so
a scan over token characters stops by itself. All else compares with the end of its row.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.string cimport memchr, memcmp, memcpy, memset

from node.sip import codec_python
from node.sip.derived import ack_for, cancel_for
from node.sip.grammar import unfold

ctypedef const unsigned char* text
ctypedef unsigned long long word

cdef extern from *:
    """
    /* Eight octets, the first one lowest whatever the byte order. */
    static inline unsigned long long clarion_load(const unsigned char *at) {
        unsigned long long octets;
        memcpy(&octets, at, 8);
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        octets = __builtin_bswap64(octets);
    #endif
        return octets;
    }
    #define CLARION_EACH(octet) (0x0101010101010101ULL * (octet))
    """
    word ONES "CLARION_EACH(1)"
    word HIGHS "CLARION_EACH(0x80)"
    word COLONS "CLARION_EACH(':')"
    word SMALL "CLARION_EACH(0x20)"  # makes letters lower case
    word load "clarion_load"(text) noexcept
    int ctz "__builtin_ctzll"(word) noexcept
    bint PyUnicode_IS_COMPACT_ASCII(object)
    void* PyUnicode_DATA(object)

include "_names.pxi"
include "_scan.pxi"
include "_splice.pxi"
include "_index.pxi"


@cython.always_allow_keywords(False)
@cython.binding(False)
def parse(bytes raw not None):
    """One whole message: a datagram, or what the framer cut from a stream. Raises ParseError."""
    cdef Message message
    cdef bytes given = raw
    cdef text s = <text>PyBytes_AS_STRING(raw)
    cdef Py_ssize_t n = PyBytes_GET_SIZE(raw)
    cdef long long length
    cdef int at = 0
    if n > MAX_MESSAGE:
        return codec_python.parse(given)
    if s[0] == 13:
        while s[at] == 13 and s[at + 1] == 10:
            at += 2
        raw = raw[at:]
        s = <text>PyBytes_AS_STRING(raw)
        n = PyBytes_GET_SIZE(raw)
    message = Message.__new__(Message)
    if not read_index(s, <int>n, &message.at):
        return codec_python.parse(given)
    length = length_of(s, <int>n, &message.at)
    if length < 0:
        return codec_python.parse(given)
    if length < n - message.at.body_at:
        raw = cut(raw, 0, message.at.body_at + <int>length)
        s = <text>PyBytes_AS_STRING(raw)
    message.raw = raw
    message.method = method_of(s + message.at.verb.start, message.at.verb.end - message.at.verb.start)
    return message


@cython.final
@cython.freelist(64)
cdef class Message:
    """A request or response; nothing in it ever changes. Documented at ``message.Message``, its Python twin."""

    cdef readonly bytes raw
    cdef readonly str method
    cdef Index at

    def __dealloc__(self):
        if self.at.row != self.at.inside:
            PyMem_Free(self.at.row)

    # What the message says

    @property
    def is_request(self):
        return self.at.status == 0

    @property
    def status(self):
        return self.at.status

    @property
    def cseq(self):
        return self.at.cseq

    @property
    def max_forwards(self):
        return self.at.max_forwards

    @property
    def uri(self):
        return b"" if self.at.status else cut(self.raw, self.at.target.start, self.at.target.end)

    @property
    def reason(self):
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        if not self.at.status:
            return ""
        return PyUnicode_DecodeUTF8(
            <char*>s + self.at.target.start, self.at.target.end - self.at.target.start, "replace")

    @property
    def call_id(self):
        return cut(self.raw, self.at.call.start, self.at.call.end)

    @property
    def from_uri(self):
        return cut(self.raw, self.at.caller.start, self.at.caller.end)

    @property
    def from_tag(self):
        return cut(self.raw, self.at.caller_tag.start, self.at.caller_tag.end)

    @property
    def to_uri(self):
        return cut(self.raw, self.at.callee.start, self.at.callee.end)

    @property
    def to_tag(self):
        return cut(self.raw, self.at.callee_tag.start, self.at.callee_tag.end)

    @property
    def branch(self):
        return cut(self.raw, self.at.via.branch.start, self.at.via.branch.end)

    @property
    def sent_by(self):
        cdef bytes host = cut(self.raw, self.at.via.host.start, self.at.via.host.end)
        if not self.at.via.digits.start:
            return host
        return host + b":" + cut(self.raw, self.at.via.digits.start, self.at.via.digits.end)

    @property
    def via_host(self):
        return bare_host(self.raw, self.at.via.host)

    @property
    def via_port(self):
        return self.at.via.port

    @property
    def via_transport(self):
        return transport_of(<text>PyBytes_AS_STRING(self.raw), &self.at.via)

    @property
    def via_count(self):
        return len(self.values("via"))

    @property
    def top_via(self):
        return cut(self.raw, self.at.via.start, self.at.via.end)

    @property
    def body(self):
        return cut(self.raw, self.at.body_at, <int>PyBytes_GET_SIZE(self.raw))

    @property
    def key(self):
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef ViaParts* via = &self.at.via
        cdef int branch = via.branch.end - via.branch.start, host = via.host.end - via.host.start
        cdef int digits = via.digits.end - via.digits.start, verb = self.at.verb.end - self.at.verb.start
        cdef text method = s + self.at.verb.start
        cdef bytes key
        cdef char* to
        if verb == 3 and memcmp(method, b"ACK", 3) == 0:
            method, verb = b"INVITE", 6
        if branch <= 7 or memcmp(s + via.branch.start, b"z9hG4bK", 7):
            return b" ".join((b"2543", self.uri, self.from_tag, self.call_id, b"%d" % self.at.cseq, self.top_via,
                              PyBytes_FromStringAndSize(<char*>method, verb)))
        key = PyBytes_FromStringAndSize(NULL, branch + host + verb + 2 + (digits + 1 if via.digits.start else 0))
        to = PyBytes_AS_STRING(key)
        to = append(to, s + via.branch.start, branch, c" ")
        if via.digits.start:
            to = append(to, s + via.host.start, host, c":")
            to = append(to, s + via.digits.start, digits, c" ")
        else:
            to = append(to, s + via.host.start, host, c" ")
        memcpy(to, method, verb)
        return key

    cdef int next_row(self, int after, int known, bytes name) noexcept:
        """The next row of a name: its index in _NAMES, or 0 and the name in lower case. -1 if there is none."""
        cdef text s = <text>PyBytes_AS_STRING(self.raw), start
        cdef int i, size
        for i in range(after + 1, self.at.row_count):
            if self.at.row[i].known != known:
                continue
            if known:
                return i
            size = <int>PyBytes_GET_SIZE(name)
            start = s + self.at.row[i].start
            if size < self.at.row[i].name and not TOKEN[start[size]] and same(start, <text>PyBytes_AS_STRING(name), size):
                return i
        return -1

    cdef int first_row(self, str name) except -2:
        """Index of the first row of a name, -1 if there is none."""
        cdef int known = known_in(name)
        if known:
            return self.next_row(-1, known, None) if present(&self.at, known) else -1
        return self.next_row(-1, 0, name.encode()) if present(&self.at, 0) else -1

    cdef list rows_of(self, str name):
        """Indices of the rows of a name."""
        cdef int known = known_in(name), i = -1
        cdef bytes lower = None
        found = []
        if not present(&self.at, known):
            return found
        if not known:
            lower = name.encode()
        while True:
            i = self.next_row(i, known, lower)
            if i < 0:
                return found
            found.append(i)

    def has(self, str name not None):
        return self.first_row(name) >= 0

    def first(self, str name not None):
        cdef int i = self.first_row(name)
        return None if i < 0 else value(self.raw, row_value(&self.at, i), row_end(&self.at, i))

    def all(self, str name not None):
        cdef int i
        return [value(self.raw, row_value(&self.at, i), row_end(&self.at, i)) for i in self.rows_of(name)]

    def rows(self, str name not None):
        cdef int i
        return [cut(self.raw, row_start(&self.at, i), row_end(&self.at, i)) for i in self.rows_of(name)]

    def values(self, str name not None):
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef int i, at, comma, stop, end
        cdef bytes one
        found = []
        for i in self.rows_of(name):
            at, stop = row_value(&self.at, i), row_end(&self.at, i)
            while True:
                comma = next_comma(s, at, stop)
                end = stop if comma < 0 else comma
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
        cdef ViaParts* via = &self.at.via
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
        put(s + run, self.at.via.rport_at.start - run)
        put(b"rport=", 6)
        put(digits, decimal(digits, rport))
        return self.at.via.rport_at.end

    cdef int without_values(self, text s, int row, int* count) noexcept:
        """Where a row goes on behind its first ``count`` values, -1 if nothing is left; lowers ``count``."""
        cdef int stop = row_end(&self.at, row), at = skip(s, row_value(&self.at, row), stop), comma, end
        while count[0]:
            comma = next_comma(s, at, stop)
            end = stop if comma < 0 else comma
            if skip(s, at, end) < end:
                count[0] -= 1
            if comma < 0:
                return -1
            at = comma + 1
        at = skip(s, at, stop)
        return at if at < stop else -1

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
        cdef int run = self.at.rows_at, i, rest, known
        cdef set removed = self.removed(remove) if remove else None
        # Bits of the names whose rows are looked at.
        cdef word edited = (1 << VIA) | ((1 << MAX_FORWARDS) if max_forwards >= 0 else 0)
        if removed is not None:
            edited = <word>-1
        if drop_routes > 0:
            edited |= 1 << ROUTE
        piece_count = 0
        if uri is None or self.at.status:
            put(s, run)
        else:
            put(s, self.at.target.start)
            put_bytes(uri)
            put(b" SIP/2.0\r\n", 10)
        put_bytes(via)
        put(b"\r\n", 2)
        put_bytes(insert)
        for i in range(self.at.row_count):
            known = self.at.row[i].known
            if not edited >> known & 1:
                continue
            if removed is not None and i in removed:
                run = self.put_but_row(s, run, i)
            elif known == VIA and i == self.at.first[VIA]:
                self.put_stamped(s, run, received, port, rport)
                run = self.at.via.end
            elif known == MAX_FORWARDS and max_forwards >= 0:
                rest = skip(s, row_value(&self.at, i), row_end(&self.at, i))
                put(s + run, rest - run)
                put(hops, decimal(hops, max_forwards))
                run = row_end(&self.at, i)
            elif known == ROUTE and drop_routes > 0:
                rest = self.without_values(s, i, &drop_routes)
                if rest < 0:
                    run = self.put_but_row(s, run, i)
                else:
                    put(s + run, skip(s, row_value(&self.at, i), row_end(&self.at, i)) - run)
                    run = rest
        if max_forwards >= 0 and not present(&self.at, MAX_FORWARDS):
            put(s + run, self.at.body_at - 2 - run)
            run = self.at.body_at - 2
            put(b"Max-Forwards: ", 14)
            put(hops, decimal(hops, max_forwards))
            put(b"\r\n", 2)
        self.put_tail(s, run, removed is not None and self.at.first[CONTENT_LENGTH] in removed, length)
        return join()

    cdef int put_but_row(self, text s, int run, int row) noexcept:
        """Put ``raw`` from ``run`` up to a row; where it goes on behind that row."""
        put(s + run, row_start(&self.at, row) - run)
        return row_start(&self.at, row + 1)

    cdef void put_tail(self, text s, int run, bint removed, unsigned char* digits) noexcept:
        """Put ``raw`` from ``run`` to its end, with a Content-Length if there is none or it was ``removed``."""
        if removed or not present(&self.at, CONTENT_LENGTH):
            put(s + run, self.at.body_at - 2 - run)
            put(b"Content-Length: ", 16)
            put(digits, decimal(digits, PyBytes_GET_SIZE(self.raw) - self.at.body_at))
            put(b"\r\n", 2)
            run = self.at.body_at - 2
        put(s + run, PyBytes_GET_SIZE(self.raw) - run)

    def pop_via(self, bytes insert not None=b""):
        global piece_count
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef int row = self.at.first[VIA], one = 1, run = self.at.rows_at
        cdef int rest = self.without_values(s, row, &one) if self.at.via.next >= 0 else -1
        cdef unsigned char length[20]
        piece_count = 0
        put(s, run)
        put_bytes(insert)
        if rest < 0:
            rest = self.put_but_row(s, run, row)
        else:
            put(s + run, skip(s, row_value(&self.at, row), row_end(&self.at, row)) - run)
        self.put_tail(s, rest, False, length)
        return join()

    def next_via(self):
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef int i = self.at.first[VIA], at = self.at.via.next
        cdef ViaParts via
        if at < 0 or skip(s, at, row_end(&self.at, i)) == row_end(&self.at, i):
            i = self.next_row(i, VIA, None)
            if i < 0:
                return None
            at = row_value(&self.at, i)
        if not read_via(s, at, row_end(&self.at, i), &via):
            return None
        transport = transport_of(s, &via)
        return transport, bare_host(self.raw, via.host), via.port, bare_host(self.raw, via.received), via.rport

    def reply(self, int status, str reason not None, bytes to_tag not None, bytes received not None, int rport,
              bytes insert not None=b"", bytes body not None=b""):
        global piece_count
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef unsigned char code[20]
        cdef unsigned char port[20]
        cdef unsigned char length[20]
        cdef bytes phrase
        cdef int i, end, known, start = 0, stop = 0  # raw[start:stop] is to be put
        cdef bint tagged = self.at.callee_tag.start < self.at.callee_tag.end or not PyBytes_GET_SIZE(to_tag)
        piece_count = 0
        put(b"SIP/2.0 ", 8)
        put(code, decimal(code, status))
        put(b" ", 1)
        if PyUnicode_IS_COMPACT_ASCII(reason):
            put(<text>PyUnicode_DATA(reason), len(reason))
        else:
            phrase = reason.encode(errors="replace")
            put_bytes(phrase)
        put(b"\r\n", 2)
        for i in range(self.at.row_count):
            known = self.at.row[i].known
            if not (VIA <= known <= CSEQ or (known == TIMESTAMP and status == 100)):
                continue
            if row_start(&self.at, i) != stop:
                put(s + start, stop - start)
                start = row_start(&self.at, i)
            stop = row_start(&self.at, i + 1)
            if known == VIA and i == self.at.first[VIA]:
                self.put_stamped(s, start, received, port, rport)
                start = self.at.via.end
            elif known == TO and not tagged:
                end = trim(s, start, stop)
                put(s + start, end - start)
                put(b";tag=", 5)
                put_bytes(to_tag)
                put(b"\r\n", 2)
                start = stop
        put(s + start, stop - start)
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
