"""A running node under malformed, hostile and odd input: it answers what the RFC answers, keeps
silent where silence is due, stays up, and its memory stays flat (RFC 4475, RFC 5118)."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.phones.certificates import Certificates
from tests.phones.clarion import ClarionNode

TORTURE = Path(__file__).parents[1] / "fixtures" / "torture"
OPTIONS = (
    b"OPTIONS sip:phones.test SIP/2.0\r\nVia: SIP/2.0/%b 127.0.0.1:%d;branch=z9hG4bK%b;rport\r\n"
    b"Max-Forwards: 70\r\nFrom: <sip:x@phones.test>;tag=1\r\nTo: <sip:phones.test>\r\nCall-ID: %b\r\n"
    b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
MEMORY_GROWTH = 40_000_000


@pytest.fixture(scope="module")
def node(certificates: Certificates) -> Iterator[ClarionNode]:
    limits = {"transport": {"message_timeout": 2, "handshake_timeout": 2}, "limits": {"max_message": 65536}}
    server = ClarionNode(certificates, name="hostile", options=limits)
    yield server
    assert "Traceback" not in server.evidence("")
    server.close()


WIRES: list[socket.socket] = []


@pytest.fixture(autouse=True)
def _closed_wires() -> Iterator[None]:
    yield
    while WIRES:
        WIRES.pop().close()


class Wire:
    """One socket to the node that asks OPTIONS to see that it lives."""

    def __init__(self, node: ClarionNode, transport: str) -> None:
        self.transport = transport
        if transport == "udp":
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind(("127.0.0.1", 0))
            self.socket.connect(node.address("udp"))
        else:
            self.socket = socket.create_connection(node.address("tcp"))
        WIRES.append(self.socket)
        self.socket.settimeout(5)
        self.port = self.socket.getsockname()[1]

    def options(self) -> bytes:
        branch = os.urandom(6).hex().encode()
        return OPTIONS % (self.transport.upper().encode(), self.port, branch, branch)

    def lives(self) -> None:
        """Asks, and reads up to the answer (what else comes is swallowed)."""
        request = self.options()
        call_id = request.partition(b"Call-ID: ")[2].partition(b"\r\n")[0]
        self.socket.sendall(request)
        seen = b""
        while call_id not in seen:
            data = self.socket.recv(65536)
            assert data, f"closed before the answer: {seen!r}"
            seen = data if self.transport == "udp" else seen + data
        assert b"SIP/2.0 200 " in seen

    def answers(self, message: bytes) -> list[bytes]:
        """What comes back before the answer to an OPTIONS sent behind the message."""
        request = self.options()
        call_id = request.partition(b"Call-ID: ")[2].partition(b"\r\n")[0]
        self.socket.sendall(message)
        self.socket.sendall(request)
        found = []
        while True:
            data = self.socket.recv(65536)
            if call_id in data:
                return found
            found.append(data)

    def rest(self) -> bytes:
        """All that comes until the node closes."""
        data = b""
        while True:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return data
            if not more:
                return data
            data += more


@pytest.mark.parametrize("path", sorted((TORTURE / "silent").glob("*.sip")), ids=lambda path: path.stem)
def test_silence_where_silence_is_due(node: ClarionNode, path: Path) -> None:
    assert Wire(node, "udp").answers(path.read_bytes()) == []


@pytest.mark.parametrize("path", sorted((TORTURE / "refused").glob("*.sip")), ids=lambda path: path.stem)
def test_refusals_never_end_the_node(node: ClarionNode, path: Path) -> None:
    """Via of these messages names other hosts: what matters here is who is not harmed."""
    message = path.read_bytes()
    if len(message) > 65_000:
        pytest.skip("longer than a datagram")
    wire = Wire(node, "udp")
    for answer in wire.answers(message):
        assert answer.startswith((b"SIP/2.0 4", b"SIP/2.0 5")), answer


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"), 400),
        ((b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), 505),
        ((b"OPTIONS sip:phones.test", b"OPTIONS foo:phones.test"), 416),
        ((b"OPTIONS sip:phones.test", b"OPTIONS sip:phones.test?Route=x"), 400),
        ((b"Max-Forwards: 70", b"Max-Forwards: 0"), 483),
        ((b"Max-Forwards: 70", b"Max-Forwards: 999"), 400),
        ((b"Max-Forwards: 70", b"Proxy-Require: warp"), 420),
        ((b"Content-Length: 0", b"Content-Length: 5"), 400),
        ((b"Content-Length: 0", b"Content-Length: -1"), 400),
        ((b"Call-ID", b"X-Call-ID"), 400),
        ((b"From: ", b"X-From: "), 400),
        ((b"Max-Forwards: 70", b"\r\n".join(b"X-%d: y" % n for n in range(2000))), 400),
        ((b"OPTIONS sip:phones.test", b"OPTIONS sip:phones .test"), 400),
        ((b"Max-Forwards: 70", b"Subject: nul \x00 octet"), 200),
        ((b"Max-Forwards: 70", b"Subject: \xff\xfe not UTF-8"), 200),
        ((b"Max-Forwards: 70", b"s: compact\r\nl: 0\r\nSubject:\r\n  folded\r\n\tmore"), 400),
    ],
)
def test_answers_over_udp(node: ClarionNode, change: tuple[bytes, bytes], status: int) -> None:
    wire = Wire(node, "udp")
    message = wire.options().replace(*change)
    wire.socket.sendall(message)
    answer = wire.socket.recv(65536)
    assert answer.startswith(b"SIP/2.0 %d " % status), answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"OPTIONS sip:phones.test SIP/2.0\r\n" + b"X: " + b"a" * 70_000 + b"\r\n\r\n", b""),
        (b"\x00" * 1000, b""),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
        (OPTIONS.replace(b"Length: 0", b"Length: 99999999") % (b"TCP", 1, b"a", b"a"), b"SIP/2.0 413 "),
        (OPTIONS.replace(b"Length: 0", b"Length: nine") % (b"TCP", 1, b"a", b"a"), b"SIP/2.0 400 "),
        (OPTIONS.replace(b"Content-Length: 0\r\n", b"") % (b"TCP", 1, b"a", b"a"), b"SIP/2.0 400 "),
    ],
)
def test_a_stream_that_is_lost_is_answered_and_closed(node: ClarionNode, data: bytes, status: bytes) -> None:
    wire = Wire(node, "tcp")
    wire.socket.sendall(data)
    assert wire.rest().startswith(status)
    Wire(node, "tcp").lives()


def test_one_byte_at_a_time_is_served_and_a_stalled_message_closed(node: ClarionNode) -> None:
    wire = Wire(node, "tcp")
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in wire.options():
        wire.socket.sendall(bytes((octet,)))
    assert wire.socket.recv(65536).startswith(b"SIP/2.0 200 ")
    wire.socket.settimeout(15)
    wire.socket.sendall(wire.options()[:40])
    assert wire.rest() == b""


def test_half_a_tls_handshake_is_closed(node: ClarionNode) -> None:
    with socket.create_connection(node.address("tls")) as peer:
        peer.settimeout(15)
        peer.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert peer.recv(100) == b""


def test_floods_leave_the_node_as_it_was(node: ClarionNode) -> None:
    process = psutil.Process(node.pid)
    noise = random.Random(4475)
    wire = Wire(node, "udp")
    valid = wire.options()

    def flood() -> None:
        for count in range(8000):
            message = bytearray(valid)
            for _ in range(noise.randrange(1, 6)):
                message[noise.randrange(len(message))] = noise.randrange(256)
            wire.socket.send(bytes(message) if count % 2 else noise.randbytes(noise.randrange(1, 900)))
        for _ in range(300):
            with socket.create_connection(node.address("tcp")) as peer:
                peer.sendall(noise.randbytes(200))

    flood()
    Wire(node, "udp").lives()
    before = process.memory_info().rss
    flood()
    Wire(node, "udp").lives()
    assert process.memory_info().rss - before < MEMORY_GROWTH
    end = time.monotonic() + 20
    while True:
        status = json.loads(node.get("/status")[1])
        if status["counts"]["transport"]["connections"] == 0 or time.monotonic() > end:
            break
    assert status["counts"]["transport"]["connections"] == 0
    assert status["counts"]["errors"] == 0
