# Header field names known by an index, and the classes of octets; filled when the module is loaded.


cdef enum:
    MAX_ROWS = 256
    KNOWN = 48
    MAX_MESSAGE = 1 << 30
    # Chosen so that `slot` keeps all names apart, and all methods; loading fails where that no longer holds.
    SLOT_A = 2
    SLOT_B = 10
    # Header fields that the codec itself looks at; the rest of _NAMES follows.
    VIA = 1
    FROM, TO, CALL_ID, CSEQ, MAX_FORWARDS, CONTENT_LENGTH, ROUTE, TIMESTAMP

# Names with an index of their own: those above in that order, those with a compact form, and frequent ones.
cdef tuple _NAMES = (
    b"", b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Max-Forwards", b"Content-Length", b"Route", b"Timestamp",
    b"Contact", b"Record-Route", b"Content-Type", b"Content-Encoding", b"Supported", b"Event", b"Refer-To", b"Subject",
    b"Allow-Events", b"Session-Expires", b"Identity", b"Identity-Info", b"Referred-By", b"Accept-Contact",
    b"Reject-Contact", b"Request-Disposition", b"Require", b"Proxy-Require", b"Expires", b"Path", b"Authorization",
    b"Proxy-Authorization", b"User-Agent", b"Allow", b"Reason", b"Max-Breadth",
)
cdef tuple _METHODS = tuple(codec_python.METHODS.items())
cdef tuple _LOWER = tuple([name.lower() for name in _NAMES])
cdef dict _IDS = {name.lower().decode(): index for index, name in enumerate(_NAMES) if index}
cdef dict _COMPACT = codec_python.COMPACT

cdef struct Name:
    word words[3]                  # in lower case, eight octets each
    word masks[3]                  # which of their octets count
    int size

cdef Name name_of[KNOWN]
cdef text lower_of[KNOWN]          # octets of _LOWER
cdef unsigned char slot_of[256]    # hash of length, first and last letter -> index into _NAMES
cdef unsigned char follows[KNOWN]  # name -> the one that came after it last time: a guess that is mostly right
cdef int method_at[256]            # the same hash -> index into _METHODS, or -1
cdef unsigned char compact_of[256]
cdef unsigned char TOKEN[256]
cdef unsigned char LOWER[256]
cdef unsigned char SPACE[256]
cdef unsigned char URI[256]
cdef unsigned char VALUE[256]      # may stand in an unquoted parameter value
cdef unsigned char HOST[256]
cdef unsigned char SCHEME[256]
cdef unsigned char CALL[256]       # may stand in a Call-ID
cdef unsigned char DISPLAY[256]    # may stand before an address: no quote, no bracket, no parameter, no fold
cdef unsigned char BRACKETED[256]  # may stand in <>, folds apart

cdef inline unsigned int slot(text s, int size) noexcept:
    return (size + SLOT_A * (s[0] | 0x20) + SLOT_B * (s[size - 1] | 0x20)) & 255


cdef inline bint is_name(text s, int known) noexcept:
    """Whether the name that ``known`` stands for begins here; reads as many words as that name has.

    Setting the bit that tells small letters from capital ones makes a CR equal to a hyphen and no other octet equal
    to one of a name; so this is for octets in which no CR stands.
    """
    cdef Name* name = &name_of[known]
    if ((load(s) | SMALL) & name.masks[0]) != name.words[0]:
        return False
    if name.size > 8 and ((load(s + 8) | SMALL) & name.masks[1]) != name.words[1]:
        return False
    return name.size <= 16 or ((load(s + 16) | SMALL) & name.masks[2]) == name.words[2]


cdef int _prepare() except -1:
    cdef int i, c
    for c in range(256):
        LOWER[c] = c + 32 if 65 <= c <= 90 else c
        TOKEN[c] = c < 128 and (chr(c).isalnum() or chr(c) in "-.!%*_+`'~")
        HOST[c] = c < 128 and (chr(c).isalnum() or chr(c) in "._-")
        SCHEME[c] = c < 128 and (chr(c).isalnum() or chr(c) in ".+-")
        SPACE[c] = c in b" \t\r\n"
        URI[c] = c > 0x20 and c != 0x7F and c not in b'<>"'
        CALL[c] = c > 0x20 and c != 0x7F
        VALUE[c] = c not in b' \t\r\n;,"'
        DISPLAY[c] = c not in b'<;"\r'
        BRACKETED[c] = c not in b'<>"\r'
    for i in range(1, len(_NAMES)):
        name_of[i].size = len(_NAMES[i])
        lower_of[i] = _LOWER[i]
        for c in range(name_of[i].size):
            name_of[i].words[c >> 3] |= <word>(_NAMES[i][c] | 0x20) << 8 * (c & 7)
            name_of[i].masks[c >> 3] |= <word>0xFF << 8 * (c & 7)
    for letter, long_form in _COMPACT.items():
        compact_of[<int>ord(letter)] = _IDS[long_form]
        compact_of[<int>ord(letter.upper())] = _IDS[long_form]
    return _fill_slots()


cdef int _fill_slots() except -1:
    cdef int i
    cdef unsigned int at
    memset(method_at, 0xFF, sizeof(method_at))
    for i in range(1, len(_NAMES)):
        at = slot(_NAMES[i], name_of[i].size)
        if slot_of[at]:
            raise AssertionError(f"{_NAMES[i]} and {_NAMES[slot_of[at]]} share a slot: change SLOT_A, SLOT_B")
        slot_of[at] = i
    for i in range(len(_METHODS)):
        at = slot(_METHODS[i][0], len(_METHODS[i][0]))
        if method_at[at] >= 0:
            raise AssertionError(f"{_METHODS[i]} and {_METHODS[method_at[at]]} share a slot: change SLOT_A, SLOT_B")
        method_at[at] = i
    return 0


_prepare()
