# cython: boundscheck=False, wraparound=False
"""Datagrams of one socket, up to 64 a system call. Its twin with the same interface is udp_python.py.

Addresses are the octets of the kernel's sockaddr: one comparison finds a flow, and sending needs no parsing.
"""

import ipaddress
import socket
import struct

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport errno
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <netinet/in.h>
    #include <sys/socket.h>
    """
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        unsigned int msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    struct sockaddr_in6:
        pass
    int MSG_DONTWAIT
    int recvmmsg(int, mmsghdr *, unsigned int, int, void *) nogil
    int sendmmsg(int, mmsghdr *, unsigned int, int) nogil

cdef enum:
    SIZE = 64
    LARGEST = 65535

BATCH = SIZE


cdef class Datagrams:
    """Reads and writes in batches. Addresses are opaque keys."""

    cdef object _socket
    cdef int _fd
    cdef int _family
    cdef char *_buffer
    cdef mmsghdr _in[SIZE]
    cdef iovec _in_parts[SIZE]
    cdef sockaddr_in6 _names[SIZE]
    cdef mmsghdr _out[SIZE]
    cdef iovec _out_parts[SIZE]

    def __cinit__(self, sock):
        cdef int i
        self._socket = sock
        self._fd = sock.fileno()
        self._family = sock.family
        self._buffer = <char *>malloc(SIZE * LARGEST)  # pages that no datagram reaches are never used
        if self._buffer == NULL:
            raise MemoryError
        memset(self._in, 0, sizeof(self._in))
        memset(self._out, 0, sizeof(self._out))
        for i in range(SIZE):
            self._in_parts[i].iov_base = self._buffer + i * LARGEST
            self._in_parts[i].iov_len = LARGEST
            self._in[i].msg_hdr.msg_iov = &self._in_parts[i]
            self._in[i].msg_hdr.msg_iovlen = 1
            self._in[i].msg_hdr.msg_name = &self._names[i]
            self._in[i].msg_hdr.msg_namelen = sizeof(sockaddr_in6)
            self._out[i].msg_hdr.msg_iov = &self._out_parts[i]
            self._out[i].msg_hdr.msg_iovlen = 1

    def __dealloc__(self):
        free(self._buffer)

    def receive(self):
        """Up to 64 datagrams that wait, with the address each came from. Never raises OSError."""
        cdef int i, count
        cdef list batch = []
        count = recvmmsg(self._fd, self._in, SIZE, MSG_DONTWAIT, NULL)
        for i in range(count):  # a negative count (nothing there, an ICMP error) makes an empty batch
            batch.append((
                PyBytes_FromStringAndSize(self._buffer + i * LARGEST, self._in[i].msg_len),
                PyBytes_FromStringAndSize(<char *>&self._names[i], self._in[i].msg_hdr.msg_namelen),
            ))
            self._in[i].msg_hdr.msg_namelen = sizeof(sockaddr_in6)
        return batch

    def send(self, list queue not None, Py_ssize_t start):
        """Send ``queue[start:]`` in order, up to 64. How many left; if none could, the errno, negative."""
        cdef Py_ssize_t i, count = min(len(queue) - start, SIZE)
        cdef bytes data, address
        cdef int sent
        if count <= 0:
            return 0
        for i in range(count):
            data, address = queue[start + i]  # alive while they are in the queue
            self._out_parts[i].iov_base = PyBytes_AS_STRING(data)
            self._out_parts[i].iov_len = PyBytes_GET_SIZE(data)
            self._out[i].msg_hdr.msg_name = PyBytes_AS_STRING(address)
            self._out[i].msg_hdr.msg_namelen = <unsigned int>PyBytes_GET_SIZE(address)
        sent = sendmmsg(self._fd, self._out, <unsigned int>count, MSG_DONTWAIT)
        return sent if sent > 0 else -errno

    def pack(self, host, port):
        """The key of an address. ValueError if ``host`` is not of the socket's family."""
        address = ipaddress.ip_address(host)
        if (address.version == 6) != (self._family == socket.AF_INET6):
            raise ValueError(f"{host} is not of this socket's address family")
        if address.version == 4:
            return struct.pack("=H", self._family) + struct.pack("!H4s8x", port, address.packed)
        scope = address.scope_id or "0"
        index = int(scope) if scope.isdigit() else socket.if_nametoindex(scope)
        return (
            struct.pack("=H", self._family) + struct.pack("!HI16s", port, 0, address.packed)
            + struct.pack("=I", index)
        )

    def unpack(self, bytes address):
        """Host and port of a key."""
        packed = address[4:8] if self._family == socket.AF_INET else address[8:24]
        return str(ipaddress.ip_address(packed)), (address[2] << 8) | address[3]
