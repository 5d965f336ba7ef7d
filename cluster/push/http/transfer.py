"""One request on its way: an easy handle of libcurl, used again for the next one."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pycurl

from cluster.push.http.message import Connection, Done, HttpRequest, HttpResponse
from cluster.push.http.public import open_public
from cluster.push.http.target import Proxy, system_ca

LARGEST_BODY = 65_536  # bytes; the rest of an answer is not read
CONNECT_TIMEOUT = 5.0  # s to a connection that can be used, TLS included
USER_TIMEOUT = 10_000  # ms that sent octets may stay unacknowledged before the connection counts as dead
KEEP_ALIVE, KEEP_ALIVE_INTERVAL = 30, 10  # s of silence until the kernel asks, and between its questions
IDLE = 300  # s without a request until connections are closed


class Unwritable(Exception):
    """A request that must not or cannot be put on the wire; the text says why."""


class Transfer:
    """An easy handle with the options of one connection, and the request that it carries now."""

    __slots__ = (
        "_body", "_connecting", "_lines", "_method", "_size", "cut", "done", "easy", "limit",
    )  # fmt: skip

    def __init__(self, connection: Connection, connecting: Callable[[], None]) -> None:
        """`connecting` is called when a connection is made for it. Raises Unwritable if the proxy is none."""
        self._lines: list[bytes] = []
        self._body: list[bytes] = []
        self._size = 0
        self._method = ""
        self.cut = False  # the answer was longer than LARGEST_BODY
        self.done: Done | None = None
        self.limit = 0.0
        self.easy = pycurl.Curl()
        self._connecting = connecting
        self._set(_fixed(connection))
        if connection.public and not connection.proxy:
            self.easy.setopt(pycurl.OPENSOCKETFUNCTION, open_public)
        self.easy.setopt(pycurl.SOCKOPTFUNCTION, self._on_socket)
        self.easy.setopt(pycurl.HEADERFUNCTION, self._lines.append)  # None stands for: all taken
        self.easy.setopt(pycurl.WRITEFUNCTION, self._write)

    def begin(self, request: HttpRequest, done: Done, seconds: float) -> None:
        """Makes it ready for the multi handle. Raises Unwritable."""
        lines = [f"{name}: {value}" for name, value in request.headers]
        text = "".join(lines)
        if "\n" in text or "\r" in text or "\0" in text:
            raise Unwritable("a header holds a line break")
        if request.body and "content-type:" not in text.lower():
            lines.append("Content-Type:")  # libcurl would write that of a form
        easy = self.easy
        try:
            easy.setopt(pycurl.URL, request.url if request.url.isascii() else request.url.encode())
            easy.setopt(pycurl.HTTPHEADER, lines if text.isascii() else [line.encode() for line in lines])
            self._write_body(request)
        except (pycurl.error, UnicodeError, ValueError) as error:
            raise Unwritable(f"the request cannot be written ({type(error).__name__})") from None
        easy.setopt(pycurl.TIMEOUT_MS, max(1, int(seconds * 1000)))
        self._lines.clear()
        self._body.clear()
        self._size = 0
        self.cut = False
        self.limit = request.timeout
        self.done = done

    def response(self) -> HttpResponse:
        """What has arrived."""
        headers: dict[str, str] = {}
        for line in self._lines:
            if line.startswith(b"HTTP/"):
                headers.clear()  # an interim answer, or that of the proxy, came before
                continue
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        return HttpResponse(self.easy.getinfo(pycurl.RESPONSE_CODE), headers, body)

    def close(self) -> None:
        self.done = None
        self.easy.close()

    def _write_body(self, request: HttpRequest) -> None:
        easy, method = self.easy, request.method
        if method != self._method:
            easy.unsetopt(pycurl.CUSTOMREQUEST)
            easy.setopt(pycurl.HTTPGET, 1)
            if method == "HEAD":
                easy.setopt(pycurl.NOBODY, 1)
            elif method not in ("GET", "POST"):
                easy.setopt(pycurl.CUSTOMREQUEST, method)
            self._method = method
        if request.body or method not in ("GET", "HEAD"):
            easy.setopt(pycurl.POSTFIELDS, request.body)

    def _write(self, octets: bytes) -> int | None:
        room = LARGEST_BODY - self._size
        self._size += len(octets)
        if len(octets) <= room:
            self._body.append(octets)
            return None
        self._body.append(octets[:room])
        self.cut = True
        return 0  # ends the transfer

    def _on_socket(self, fd: int, _purpose: int) -> int:
        self._connecting()
        _watch_peer(fd)
        return int(pycurl.SOCKOPT_OK)

    def _set(self, options: list[tuple[int, Any]]) -> None:
        for option, value in options:
            self.easy.setopt(option, value)


def _fixed(connection: Connection) -> list[tuple[int, Any]]:
    version = pycurl.CURL_HTTP_VERSION_2TLS if connection.http2 else pycurl.CURL_HTTP_VERSION_1_1
    options: list[tuple[int, Any]] = [
        (pycurl.NOSIGNAL, 1),
        (pycurl.HTTP_VERSION, version),
        (pycurl.PIPEWAIT, 1),  # rather wait for the connection being made than make another
        (pycurl.CONNECTTIMEOUT_MS, int(CONNECT_TIMEOUT * 1000)),
        (pycurl.MAXAGE_CONN, IDLE),
        (pycurl.TCP_NODELAY, 1),
        (pycurl.USERAGENT, "clarion"),
        (pycurl.NOPROXY, ""),  # neither this nor the proxy from the environment
    ]
    file, folder = (connection.ca, "") if connection.ca else system_ca()
    if file:
        options += [(pycurl.CAINFO, file), (pycurl.PROXY_CAINFO, file)]
    if folder and not file:
        options += [(pycurl.CAPATH, folder), (pycurl.PROXY_CAPATH, folder)]
    if connection.cert:
        options.append((pycurl.SSLCERT, connection.cert))
        options.append((pycurl.SSLKEY, connection.key or connection.cert))
    return options + _through(connection.proxy)


def _through(proxy: str) -> list[tuple[int, Any]]:
    if not proxy:
        return [(pycurl.PROXY, "")]
    parsed = Proxy.parse(proxy)
    if not parsed.url:
        raise Unwritable("[push] proxy is no URL: write http://user:password@host:port")
    options: list[tuple[int, Any]] = [(pycurl.PROXY, parsed.url), (pycurl.HTTPPROXYTUNNEL, 1)]
    if parsed.user:
        options.append((pycurl.PROXYUSERPWD, parsed.user.encode()))
        options.append((pycurl.PROXYAUTH, pycurl.HTTPAUTH_BASIC))
    return options


def _watch_peer(fd: int) -> None:
    """The kernel is to find dead connections, which would swallow all pushes that share them."""
    connected = socket.socket(fileno=fd)
    try:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connected.setsockopt(socket.SOL_TCP, socket.TCP_KEEPIDLE, KEEP_ALIVE)
        connected.setsockopt(socket.SOL_TCP, socket.TCP_KEEPINTVL, KEEP_ALIVE_INTERVAL)
        connected.setsockopt(socket.SOL_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)
    except OSError:
        pass  # they only make it better
    finally:
        connected.detach()
