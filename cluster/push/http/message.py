"""What the providers write and read: an HTTP request, its connection, and what came of it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Connection(msgspec.Struct, frozen=True):
    """How to reach a server; requests with equal ones share connections."""

    ca: str = ""  # file of the CA that signed the server's certificate; "" for the system's
    cert: str = ""  # client certificate file (PEM)
    key: str = ""  # its private key file
    proxy: str = ""  # http://user:password@host:port, reached by CONNECT
    http2: bool = True  # offered in ALPN; the server may still choose HTTP/1.1
    public: bool = False  # never to a private, loopback or link-local address, whatever the name resolves to


class HttpRequest(msgspec.Struct, frozen=True):
    """One request. `timeout` is seconds for everything, from the connection to the last byte."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 10.0
    connection: Connection = Connection()


class HttpResponse(msgspec.Struct, frozen=True):
    """What came back. `status` 0: no answer, `error` says why in a sentence.

    `unprocessed` is true where the server surely did not act on it (refused stream, no connection).
    """

    status: int
    headers: dict[str, str] = {}  # names in lower case
    body: bytes = b""  # 64 KiB at most
    error: str = ""
    unprocessed: bool = False


Done = Callable[[HttpResponse], None]
