"""Peers that send any octets and look at octets: what a well-behaved scripted phone cannot do."""

import itertools
import os
import re
import socket
import ssl
import threading
import time
from pathlib import Path

PATIENCE = 5.0
_numbers = itertools.count(1)
_HOP = (b"via", b"v", b"max-forwards", b"route", b"record-route", b"content-length", b"l")


def loopback() -> str:
    """An address of 127.0.0.0/8 that other test runs hardly use."""
    return f"127.83.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"


def compose(start: str, via: bytes, rows: bytes = b"", body: bytes = b"") -> bytes:
    """A request with all it needs, `rows` (complete lines) and a body."""
    method = start.split()[0].encode()
    return (
        start.encode() + b"\r\n" + via + b"\r\nMax-Forwards: 70\r\nFrom: <sip:raw@example.com>;tag=1\r\n"
        b"To: <sip:raw@example.com>\r\nCall-ID: raw%d.%d\r\nCSeq: 1 %b\r\n%bContent-Length: %d\r\n\r\n%b"
        % (os.getpid(), next(_numbers), method, rows, len(body), body)
    )  # fmt: skip


def status_of(raw: bytes) -> int:
    """Status of a response, 0 for a request."""
    return int(raw[8:11]) if raw.startswith(b"SIP/2.0 ") else 0


def rows_of(raw: bytes) -> tuple[bytes, list[bytes]]:
    """Start line, and the rows that no proxy may touch, folds and all, with the Via rows below the top."""
    start, *rows = re.split(rb"\r\n(?![ \t])", raw.lstrip(b"\r\n").partition(b"\r\n\r\n")[0])
    return start, [row for row in rows if row.partition(b":")[0].strip().lower() not in _HOP]


class Caller:
    """One socket to a node. `others` holds what came and was not a response to `branch`."""

    def __init__(
        self, transport: str, server: tuple[str, int], ca: Path | None = None, port: int = 0
    ) -> None:
        self.transport = transport
        self.server = server
        self.branch = b""
        self.others: list[bytes] = []
        self._data = b""
        self._ended = False
        if transport == "udp":
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((loopback() if port else "127.0.0.1", port))
            self.socket.connect(server) if not port else None
        else:
            self.socket = socket.create_connection(server, PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if transport == "tls":
                context = ssl.create_default_context(cafile=str(ca))
                self.socket = context.wrap_socket(self.socket, server_hostname=server[0])
        self.local: tuple[str, int] = self.socket.getsockname()[:2]

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def via(self) -> bytes:
        """A Via row of a new transaction."""
        self.branch = b"z9hG4bKraw%d.%d" % (os.getpid(), next(_numbers))
        return b"Via: SIP/2.0/%b %b:%d;rport;branch=%b" % (
            self.transport.upper().encode(), self.local[0].encode(), self.local[1], self.branch,
        )  # fmt: skip

    def send(self, data: bytes) -> None:
        if self.transport == "udp":
            self.socket.sendto(data, self.server)
        else:
            self.socket.sendall(data)

    def ask(self, message: bytes, tries: int = 1) -> bytes:
        """The final response to a message of the last `via()`."""
        for _ in range(tries - 1):
            self.send(message)
            try:
                return self.final(0.2)
            except TimeoutError:
                continue
        self.send(message)
        return self.final()

    def final(self, seconds: float = PATIENCE) -> bytes:
        """The next final response; TimeoutError."""
        deadline = time.monotonic() + seconds
        while True:
            message = self._next(deadline)
            if status_of(message) >= 200 and self.branch in message:
                return message
            if status_of(message) != 100:
                self.others.append(message)

    def _next(self, deadline: float) -> bytes:
        while True:
            if self.transport == "udp":
                self.socket.settimeout(max(0.01, deadline - time.monotonic()))
                return self.socket.recvfrom(65535)[0]
            end = self._data.find(b"\r\n\r\n")
            if end >= 0:
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", self._data[:end])
                assert length, self._data
                end += 4 + int(length[1])
                message, self._data = self._data[:end], self._data[end:]
                return message
            if not self._more(deadline - time.monotonic()):
                raise ConnectionError("closed")

    def _more(self, seconds: float) -> bool:
        """Reads; False at the end of the stream. TimeoutError."""
        if self._ended:
            return False
        self.socket.settimeout(max(0.01, seconds))
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        self._ended = not data
        self._data += data
        return bool(data)

    def closes(self, seconds: float) -> bool:
        """Whether the node ends this connection in time."""
        deadline = time.monotonic() + seconds
        try:
            while self._more(deadline - time.monotonic()):
                pass
        except TimeoutError:
            return False
        return True


class Wanderer:
    """A phone on one UDP socket that registers any URI and answers all that comes: INVITE 486, others 200."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._came: list[bytes] = []
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name="wanderer", daemon=True)

    def __enter__(self) -> "Wanderer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(2)
        self._socket.close()

    def register(self, server: tuple[str, int], uri: bytes) -> None:
        """Binds this phone, and no other, to the address of record of a URI."""
        contact = b"Contact: <sip:wanderer@127.0.0.1:%d>\r\n" % self.port
        with Caller("udp", server) as peer:
            for rows in (b"Contact: *\r\nExpires: 0\r\n", contact):
                message = compose("REGISTER sip:example.com SIP/2.0", peer.via(), rows)
                answer = peer.ask(message.replace(b"To: <sip:raw@example.com>", b"To: <" + uri + b">"))
                assert status_of(answer) == 200, answer

    def take(self, mark: bytes) -> bytes:
        """The first request that contains these octets."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while True:
                for message in self._came:
                    if mark in message:
                        return message
                left = deadline - time.monotonic()
                assert left > 0 and self._news.wait(left), f"{mark!r} did not come: {self._came[-2:]}"

    def _serve(self) -> None:
        while True:
            data, peer = self._socket.recvfrom(65535)
            if not data:
                return
            if status_of(data) or data.startswith(b"ACK "):
                continue
            self._socket.sendto(answer_to(data, 486 if data.startswith(b"INVITE ") else 200), peer)
            with self._news:
                self._came.append(data)
                self._news.notify_all()


def answer_to(request: bytes, status: int) -> bytes:
    """A response with Vias, From, To, Call-ID and CSeq as they came."""
    rows = re.split(rb"\r\n(?![ \t])", request.partition(b"\r\n\r\n")[0])[1:]
    wanted = (b"via", b"v", b"from", b"f", b"to", b"t", b"call-id", b"i", b"cseq")
    kept = [row for row in rows if row.partition(b":")[0].strip().lower() in wanted]
    return b"\r\n".join((b"SIP/2.0 %d Because" % status, *kept, b"Content-Length: 0", b"", b""))
