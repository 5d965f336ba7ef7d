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

include "_names.pxi"
include "_scan.pxi"
include "_splice.pxi"
include "_index.pxi"


def parse(bytes raw not None):
    """One whole message: a datagram, or what the framer cut from a stream. Raises ParseError."""
    cdef Message message = Message.__new__(Message)
    if message.read(raw):
        return message
    return codec_python.parse(raw)


cdef class Message(Indexed):
    """A request or response; nothing in it ever changes. Documented at ``message.Message``, its Python twin."""

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
        i = self.first_row[CONTENT_LENGTH]
        self.put_tail(s, self.body_at - 2, i < 0 or (removed is not None and i in removed), length)
        return join()

    cdef void put_tail(self, text s, int run, bint lacks_length, unsigned char* digits) noexcept:
        """Put ``raw`` from ``run`` to its end, with a Content-Length if the header ``lacks_length``."""
        if lacks_length:
            put(s + run, self.body_at - 2 - run)
            put(b"Content-Length: ", 16)
            put(digits, decimal(digits, PyBytes_GET_SIZE(self.raw) - self.body_at))
            put(b"\r\n", 2)
            run = self.body_at - 2
        put(s + run, PyBytes_GET_SIZE(self.raw) - run)

    def pop_via(self, bytes insert not None=b""):
        global piece_count
        cdef text s = <text>PyBytes_AS_STRING(self.raw)
        cdef Row* row = &self.row[self.first_row[VIA]]
        cdef int one = 1
        cdef int rest = self.without_values(s, row, &one)
        cdef unsigned char length[20]
        piece_count = 0
        put(s, self.rows_at)
        put_bytes(insert)
        if rest < 0:
            put(s + self.rows_at, row.start - self.rows_at)
            rest = row.end + 2
        else:
            put(s + self.rows_at, skip(s, row.value, row.end) - self.rows_at)
        self.put_tail(s, rest, self.first_row[CONTENT_LENGTH] < 0, length)
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
