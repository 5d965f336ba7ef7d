# Building messages: list the pieces, then copy them into one new bytes object.


cdef struct Piece:
    text at
    Py_ssize_t size

cdef Piece pieces[2 * MAX_ROWS + 32]
cdef int piece_count


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


cdef inline char* append(char* to, text at, Py_ssize_t size, char last) noexcept:
    """Copy and end with ``last``; returns what is behind it."""
    memcpy(to, at, size)
    to[size] = last
    return to + size + 1


cdef inline int known_in(str name) except -1:
    """Index into _NAMES of a name in lower case, 0 if it is not there."""
    found = _IDS.get(name)
    return 0 if found is None else <int>found


cdef inline str transport_of(text s, ViaParts* via):
    cdef text at = s + via.transport.start
    cdef int size = via.transport.end - via.transport.start
    if size == 3:
        if memcmp(at, b"UDP", 3) == 0:
            return "UDP"
        if memcmp(at, b"TCP", 3) == 0:
            return "TCP"
        if memcmp(at, b"TLS", 3) == 0:
            return "TLS"
    return PyUnicode_DecodeASCII(<const char*>at, size, NULL).upper()


cdef inline str method_of(text s, int size):
    cdef int at = method_at[slot(s, size)]
    cdef bytes known
    if at >= 0:
        known = <bytes>(<tuple>_METHODS[at])[0]
        if PyBytes_GET_SIZE(known) == size and memcmp(PyBytes_AS_STRING(known), s, size) == 0:
            return <str>(<tuple>_METHODS[at])[1]
    return PyUnicode_DecodeASCII(<const char*>s, size, NULL)
