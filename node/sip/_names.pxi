# Header field names known by an index, and the classes of octets; filled when the module is loaded.


cdef enum:
    MAX_ROWS = 256
    KNOWN = 48
    MAX_MESSAGE = 1 << 30
    # Header fields that the codec itself looks at; the rest of _NAMES follows.
    VIA = 1
    FROM, TO, CALL_ID, CSEQ, MAX_FORWARDS, CONTENT_LENGTH, ROUTE, TIMESTAMP

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
