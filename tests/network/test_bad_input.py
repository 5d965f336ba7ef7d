"""Malformed, hostile and odd messages against a running node: RFC 4475, RFC 5118, and worse.

What is expected here comes from the RFCs; files of `tests/fixtures/torture` say what is odd about them.
"""

import json
import os
import random
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.network.dns_server import DnsServer
from tests.network.raw_peer import Caller, Wanderer, compose, rows_of, status_of
from tests.phones.certificates import Certificates
from tests.phones.clarion import ClarionNode
from tests.phones.fixtures import Stores

TORTURE = Path(__file__).parents[1] / "fixtures" / "torture"
MAX_MESSAGE = 65_536
GROWTH = 30 * 2**20  # bytes that a node may grow by under all of this
OK, NOT_FOUND = {200}, {404}
ANSWERED = {  # valid messages that the node itself has to answer, and how; the others are routed
    "atypical_scheme_in_request_uri": {416},
    "unknown_scheme_in_request_uri": {416},
    "headers_in_request_uri": {400},  # RFC 4475 3.1.2.11
    "max_forwards_zero": {483},
    "unknown_require_and_proxy_require": {420},
    "contact_with_escaped_header_in_uri": OK,
    "contact_with_unknown_parameters": OK,
    "contact_without_angle_brackets": {200, 400},  # 3.1.2.13 leaves the choice
    "escaped_nul_in_user_parts": OK,
    "ipv6_port_behind_brackets": OK,
    "ipv6_port_inside_brackets": OK,  # RFC 5118 4.2: another address, still valid
    "ipv6_reference": OK,
    "ipv6_request_uri_without_brackets": {400},
    "ipv6_received_without_brackets": OK,  # OPTIONS to the node itself
    "ipv6_received_in_brackets": NOT_FOUND,  # BYE without a user
    "ipv6_three_colons_of_the_rfc3261_grammar": {404, 400},  # RFC 5118 4.8
    "overlarge_expires": OK,
    "percent_sign_in_method": {501},  # nobody here has such a method, and it is not for a user
    "trailing_octets_in_datagram": OK,
    "unknown_authorization_scheme": OK,
    "unknown_schemes_in_header_fields": {400, 403, 404, 416},
}  # fmt: skip
OPTIONS = "OPTIONS sip:example.com SIP/2.0"


def torture(kind: str) -> list[Path]:
    return sorted((TORTURE / kind).glob("*.sip"))


def valid_requests() -> list[Path]:
    return [path for path in torture("valid") if not path.read_bytes().lower().startswith(b"sip/")]


@pytest.fixture(scope="module")
def phone() -> Iterator[Wanderer]:
    with Wanderer() as made:
        yield made


@pytest.fixture(scope="module")
def node(certificates: Certificates, stores: Stores, phone: Wanderer) -> Iterator[ClarionNode]:
    """Serves every domain; whatever a Route names is found in DNS at the phone."""

    def zone(name: str, kind: str) -> list[str]:
        if kind == "SRV" and name.startswith("_sip._udp."):
            return [f"0 0 {phone.port} {name.removeprefix('_sip._udp.')}."]
        return ["127.0.0.1"] if kind == "A" else []

    dns = DnsServer(zone)
    options = {
        "node": {"domains": ["phones.test", "*"]},
        "transport": {"message_timeout": 1, "handshake_timeout": 1, "dns_servers": [dns.address]},
        "limits": {"max_message": MAX_MESSAGE},
    }
    made = ClarionNode(
        certificates, name="bad", redis=stores.redis.url, etcd=[stores.etcd.endpoint], options=options
    )
    yield made
    text, faults = made.program.text, _faults(made)
    made.close()
    dns.close()
    assert "Traceback" not in text and "ERROR" not in text, text[-4000:]
    assert faults == (0, 0)


def _faults(node: ClarionNode) -> tuple[int, int]:
    counts = json.loads(node.get("/status")[1])["counts"]
    return counts["errors"], counts["transport"]["receiver_errors"]


@pytest.fixture(params=["udp", "tcp"])
def caller(request: pytest.FixtureRequest, node: ClarionNode) -> Iterator[Caller]:
    with Caller(request.param, node.address(request.param), node.ca) as made:
        yield made


def serves(node: ClarionNode, transport: str = "udp") -> bool:
    """The node answers OPTIONS; retransmitted, since a full socket may lose one."""
    with Caller(transport, node.address(transport), node.ca) as peer:
        return status_of(peer.ask(compose(OPTIONS, peer.via()), tries=50)) == 200


def unique(raw: bytes) -> bytes:
    """The same message in a transaction and call of its own."""
    return re.sub(rb"(?im)^(call-id|i)([ \t]*:[ \t]*)", rb"\g<1>\g<2>%b-" % os.urandom(4).hex().encode(), raw)


# the shapes of RFC 4475 and RFC 5118


@pytest.mark.parametrize("path", valid_requests(), ids=lambda path: path.stem)
def test_valid_request(node: ClarionNode, caller: Caller, phone: Wanderer, path: Path) -> None:
    raw = unique(path.read_bytes()).lstrip(b"\r\n")
    sent = raw.replace(b"\r\n", b"\r\n" + caller.via() + b"\r\n", 1)  # it came by way of the caller
    length = re.search(rb"(?im)^(content-length|l)[ \t]*:", sent)
    if caller.transport == "tcp" and not length:
        assert status_of(caller.ask(sent)) == 400, "RFC 3261 18.3: a stream needs Content-Length"
        return
    if caller.transport == "tcp" and "datagram" in path.stem:
        return  # on a stream the rest would be another message
    expected = ANSWERED.get(path.stem)
    if expected is not None:
        answer = caller.ask(sent)
        assert status_of(answer) in expected, answer
        return
    phone.register(node.address("udp"), raw.split(b" ")[1])
    caller.send(sent)
    arrived = phone.take(caller.branch)
    assert rows_of(arrived)[1] == rows_of(sent)[1]
    body = sent.partition(b"\r\n\r\n")[2]
    assert arrived.partition(b"\r\n\r\n")[2] == body
    assert status_of(caller.final()) in (200, 486)


@pytest.mark.parametrize("path", torture("refused"), ids=lambda path: path.stem)
def test_refused_request(node: ClarionNode, path: Path) -> None:
    """The answer goes to port 5060 of the sender, since these Via values have no rport (18.2.2)."""
    expected = 505 if path.stem == "version_seven" else 400
    with Caller("udp", node.address("udp"), port=5060) as listener:
        if "via" in path.stem:  # one that cannot be read says nothing
            listener.send(path.read_bytes())
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind((listener.local[0], 0))
                sender.sendto(path.read_bytes(), node.address("udp"))
        answer = listener.final()
        assert status_of(answer) == expected
        assert "via" in path.stem or b";received=" + listener.local[0].encode() in answer
        assert answer.split(b"\r\n")[0] not in (b"SIP/2.0 400 Bad Request", b"SIP/2.0 400 "), "no reason"
    assert b"\n" not in answer.replace(b"\r\n", b"")


def test_silence(node: ClarionNode) -> None:
    with Caller("udp", node.address("udp"), port=5060) as peer:
        for path in torture("silent"):
            peer.send(path.read_bytes())
        for path in torture("valid"):
            if path.read_bytes().startswith(b"SIP/2.0"):  # a response that nobody asked for
                peer.send(path.read_bytes())
        assert status_of(peer.ask(compose(OPTIONS, peer.via()))) == 200
        assert not peer.others, "something was answered that must not be"


@pytest.mark.parametrize(
    "contact",
    [
        b"<sip:x\xff@127.0.0.1:9>",
        b"<sip:x@127.0.0.1:9>;odd=\xff",
        b'<sip:x@127.0.0.1:9>;+sip.instance="<\xff>"',
        b"<sip:x@127.0.0.1:9;pn-provider=a;pn-prid=\xff>",
    ],
)
def test_contacts_that_are_not_utf8(node: ClarionNode, contact: bytes) -> None:
    with Caller("udp", node.address("udp")) as peer:
        rows = b"Contact: " + contact + b"\r\n"
        answer = peer.ask(compose("REGISTER sip:example.com SIP/2.0", peer.via(), rows))
        assert status_of(answer) == 400, answer
        answer = peer.ask(
            compose("REGISTER sip:example.com SIP/2.0", peer.via()).replace(b"sip:raw", b"sip:r\xff")
        )
        assert status_of(answer) == 400, answer


def test_extensions_that_the_node_lacks(node: ClarionNode) -> None:
    with Caller("udp", node.address("udp")) as peer:
        answer = peer.ask(
            compose(OPTIONS, peer.via(), rows=b"Require: path, warp\r\nProxy-Require: drive\r\n")
        )
        assert status_of(answer) == 420 and b"\r\nUnsupported: drive\r\n" in answer
        answer = peer.ask(compose(OPTIONS, peer.via(), rows=b"Require: path, warp\r\n"))
        assert status_of(answer) == 420 and b"\r\nUnsupported: warp\r\n" in answer


# lying and lost streams


@pytest.mark.parametrize(
    ("length", "status"),
    [(b"-1", 400), (b"abc", 400), (b"", 400), (None, 400), (b"5\r\nContent-Length: 5", 400),
     (b"99999999999999999999", 400), (b"100000", 413)],
)  # fmt: skip
@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_content_length_that_cannot_be(
    node: ClarionNode, transport: str, length: bytes | None, status: int
) -> None:
    with Caller(transport, node.address(transport), node.ca) as peer:
        row = b"" if length is None else b"Content-Length: " + length + b"\r\n"
        answer = peer.ask(compose(OPTIONS, peer.via()).replace(b"Content-Length: 0\r\n", row))
        assert status_of(answer) == status
        assert peer.closes(2)


def test_content_length_too_short_and_too_long(node: ClarionNode) -> None:
    with Caller("tcp", node.address("tcp")) as peer:
        short = compose(OPTIONS, peer.via()) + b"\x01 what is left of the body"
        assert status_of(peer.ask(short)) == 200
        assert peer.closes(2), "nobody knows where the next message begins"
    with Caller("tcp", node.address("tcp")) as peer:
        first = compose(OPTIONS, peer.via()).replace(b"Length: 0", b"Length: 500")
        peer.send(first)
        assert peer.closes(4), "it waits for octets that never come"


@pytest.mark.parametrize(
    ("rows", "body", "status"),
    [
        (b"X: " + b"x" * MAX_MESSAGE + b"\r\n", b"", 513),
        (b"", b"b" * MAX_MESSAGE, 413),
        (b"X: y\r\n" * 5000, b"", 400),
        (b"X: y\x00z\r\n", b"\x00" * 9, 200),
        (b"X: " + b"\xff" * 60_000 + b"\r\n", b"", 200),
        (b"X: a" + b"\r\n b" * 10_000 + b"\r\n", b"", 200),
        (b"Via: SIP/2.0/UDP a;branch=z9hG4bKx\r\n" * 200, b"", 200),
    ],
    ids=["header", "body", "fields", "nul", "utf8", "folds", "vias"],
)
def test_much_of_everything(node: ClarionNode, caller: Caller, rows: bytes, body: bytes, status: int) -> None:
    if caller.transport == "udp" and status in (413, 513):
        return  # no datagram is that long
    answer = caller.ask(compose(OPTIONS, caller.via(), rows=rows, body=body))
    assert status_of(answer) == status


def test_garbage_on_streams_is_closed(node: ClarionNode) -> None:
    dice = random.Random(2)
    for transport in ("tcp", "tls"):
        for garbage in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n", b"\x00", dice.randbytes(3000)):
            with Caller(transport, node.address(transport), node.ca) as peer:
                peer.send(garbage)
                assert peer.closes(4)
    assert serves(node, "tcp")


# slowness


def test_one_octet_at_a_time(node: ClarionNode) -> None:
    with Caller("tcp", node.address("tcp")) as peer:
        message = compose(OPTIONS, peer.via())
        for at in range(len(message)):
            peer.send(message[at : at + 1])
        assert status_of(peer.final()) == 200


def test_who_stalls_is_closed(node: ClarionNode) -> None:
    """Half a message on TCP and TLS, one octet now and then, and half a TLS handshake."""
    begun = time.monotonic()
    with Caller("tcp", node.address("tcp")) as tcp, Caller("tls", node.address("tls"), node.ca) as tls:
        slow = Caller("tcp", node.address("tcp"))
        mute, half = (socket.create_connection(node.address("tls"), 5) for _ in range(2))
        half.sendall(_client_hello()[:40])
        for peer in (tcp, tls):
            peer.send(compose(OPTIONS, peer.via())[:60])
        for octet in b"OPTIONS":
            slow.send(bytes((octet,)))
            if slow.closes(0.3):
                break
        assert slow.closes(4), "it goes on as long as something comes now and then"
        for sock in (mute, half):
            sock.settimeout(4)
            assert sock.recv(100) == b""
            sock.close()
        assert tcp.closes(4) and tls.closes(4)
        slow.close()
    assert time.monotonic() - begun < 8


def _client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# masses


def test_masses_leave_nothing_behind(node: ClarionNode) -> None:
    process = psutil.Process(node.pid)
    _flood(node, 2_000)
    _drop_connections(node, 100)
    assert serves(node)
    before = process.memory_info().rss
    _flood(node, 20_000)
    _drop_connections(node, 2_000)
    for transport in ("udp", "tcp", "tls"):
        assert serves(node, transport)
    grown = process.memory_info().rss - before
    assert grown < GROWTH, f"the node grew by {grown / 2**20:.1f} MB"
    deadline = time.monotonic() + 10
    while (open_now := json.loads(node.get("/status")[1])["counts"]["transport"]["connections"]) > 5:
        assert time.monotonic() < deadline, f"{open_now} connections are still open"


def _flood(node: ClarionNode, count: int) -> None:
    """Bad datagrams: torture, torture with octets changed, and noise."""
    dice = random.Random(count)
    shapes = [path.read_bytes() for kind in ("refused", "silent", "valid") for path in torture(kind)]
    shapes = [shape for shape in shapes if len(shape) < 1500]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(count):
            data = bytearray(dice.choice(shapes))
            if number % 3:
                data[dice.randrange(min(len(data), 200))] = dice.randrange(256)
            sender.sendto(dice.randbytes(200) if number % 10 == 0 else data, node.address("udp"))
            if number % 2000 == 0:
                assert serves(node)  # it has read them all, none was lost in a full socket


def _drop_connections(node: ClarionNode, count: int) -> None:
    """Opened and closed: silent, with half a message, and by reset; some on the TLS port."""
    for number in range(count):
        peer = socket.create_connection(node.address("tls" if number % 4 == 0 else "tcp"), 5)
        if number % 3:
            peer.sendall(b"INVITE sip:example.com SIP/2.0\r\nVia: ")
        if number % 2:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
