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


cdef inline str method_of(text s, int size):
    cdef bytes known
    cdef int i
    for i in range(len(_METHODS)):
        known = <bytes>(<tuple>_METHODS[i])[0]
        if PyBytes_GET_SIZE(known) == size and memcmp(PyBytes_AS_STRING(known), s, size) == 0:
            return <str>(<tuple>_METHODS[i])[1]
    return PyUnicode_DecodeASCII(<const char*>s, size, NULL)
