"""The proxy on real sockets: what a conversation without a network cannot show."""

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from node.transport import stun
from tests.network.dns_server import DnsServer
from tests.network.raw_peer import Caller, answer_to, compose, status_of
from tests.phones.certificates import Certificates
from tests.phones.clarion import ClarionNode
from tests.phones.fixtures import Node, Stores, new_user, on
from tests.phones.program import LOOPBACK, free_port
from tests.phones.sip_client import SipPhone, connected
from tests.phones.sip_message import Frames, Sip, inner_uri

TRANSPORTS = ("udp", "tcp", "tls")
LONG = "x" * 2000
ZONE: dict[tuple[str, str], list[str]] = {}
_names = itertools.count(1)


@pytest.fixture(scope="module")
def node(certificates: Certificates, stores: Stores) -> Iterator[ClarionNode]:
    """Asks a DNS server that knows ZONE."""
    dns = DnsServer(lambda name, kind: ZONE.get((name, kind), []))
    made = on(stores, certificates, "prox", {"transport": {"dns_servers": [dns.address]}})
    yield made
    made.close()
    dns.close()


def phone(node: Node, transport: str, name: str = "phone") -> SipPhone:
    return SipPhone(new_user(name), transport, node.address(transport), ca=node.ca)


def connections(node: Node) -> int:
    return json.loads(node.get("/status")[1])["counts"]["transport"]["connections"]


class Foreign:
    """A server of another domain on one port: it answers each request with `status`, and keeps it."""

    def __init__(self, port: int, status: int = 200) -> None:
        self.port = port
        self.status = status
        self.came: asyncio.Queue[tuple[str, Sip]] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []

    def take(self, transport: str, raw: bytes) -> bytes:
        message = Sip.parse(raw)
        if message.is_request and message.method != "ACK":
            self.came.put_nowait((transport, message))
            return answer_to(raw, self.status)
        return b""

    async def stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames()
        self.writers.append(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.writelines(self.take("tcp", raw) for raw in frames.feed(data))

    async def next(self) -> tuple[str, Sip]:
        return await asyncio.wait_for(self.came.get(), 5)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, foreign: Foreign) -> None:
        self.foreign = foreign

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if answer := self.foreign.take("udp", data):
            self.transport.sendto(answer, address)


@contextlib.asynccontextmanager
async def foreign(*transports: str, port: int = 0, status: int = 200) -> AsyncIterator[Foreign]:
    made = Foreign(port or free_port(), status)
    loop = asyncio.get_running_loop()
    udp = server = None
    if "udp" in transports:
        udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(made), (LOOPBACK, made.port))
    if "tcp" in transports:
        server = await asyncio.start_server(made.stream, LOOPBACK, made.port)
    try:
        yield made
    finally:
        if udp:
            udp.close()
        if server:
            server.close()
        for writer in made.writers:
            writer.close()
            await writer.wait_closed()


# transports


@pytest.mark.parametrize("callee", TRANSPORTS)
@pytest.mark.parametrize("caller", TRANSPORTS)
async def test_call_between_transports(node: Node, caller: str, callee: str) -> None:
    async with phone(node, caller, "alice") as alice, phone(node, callee, "bob") as bob:
        await alice.register()
        await bob.register()
        before = connections(node)
        calling, called = await connected(alice, bob)
        invite = called.invite
        assert invite.values("Via")[0].startswith(f"SIP/2.0/{callee.upper()} 127.0.0.1:")
        routes = [inner_uri(value) for value in invite.values("Record-Route")]
        assert all(";lr" in route for route in routes)
        seen = [route.rpartition("transport=")[2].partition(";")[0] for route in routes]
        assert seen == (["udp"] if caller == callee == "udp" else [callee, caller])
        bye = asyncio.create_task(calling.bye() if caller < callee else called.bye())
        await (called if caller < callee else calling).expect_bye()
        await bye
        assert connections(node) == before, "a connection was opened towards a phone that has one"


async def test_long_request_goes_by_tcp_if_the_phone_listens(node: Node) -> None:
    async with phone(node, "udp") as alice, foreign("udp", "tcp") as bob:
        await alice.register(contact=f"<sip:bob@{LOOPBACK}:{bob.port}>")
        for text, transport in (("short", "udp"), (LONG, "tcp"), ("short", "udp")):
            await alice.message(alice.uri, text)
            came, request = await bob.next()
            assert (came, request.body.decode()) == (transport, text)
            assert request.values("Via")[0].startswith(f"SIP/2.0/{transport.upper()} ")


async def test_long_request_goes_by_udp_if_it_does_not(node: Node) -> None:
    async with phone(node, "udp") as alice, foreign("udp") as bob:
        await alice.register(contact=f"<sip:bob@{LOOPBACK}:{bob.port}>")
        await alice.message(alice.uri, LONG)
        came, request = await bob.next()
        assert (came, len(request.body)) == ("udp", len(LONG))
        assert request.values("Via")[0].startswith("SIP/2.0/UDP ")
        assert bob.came.empty()


# IPv6


class Phone6(SipPhone):
    """A phone on ::1, which URIs write in brackets."""

    def __init__(self, transport: str, port: int) -> None:
        super().__init__(new_user("six"), transport, ("::1", port), local="::1")

    @property
    def contact(self) -> str:
        return f"sip:{self.user}@[::1]:{self.wire.local[1]};transport={self.transport}"

    def via(self, branch: str = "") -> str:
        branch = branch or f"z9hG4bK{os.urandom(8).hex()}"
        return f"SIP/2.0/{self.transport.upper()} [::1]:{self.wire.local[1]};branch={branch};rport"


@pytest.fixture(scope="module")
def ports(certificates: Certificates, stores: Stores) -> Iterator[tuple[int, int]]:
    """A node on ::1 and 127.0.0.1: its ports there."""
    six, four = free_port(), free_port()
    listen = [f"{transport}:[::1]:{six}" for transport in ("udp", "tcp")]
    options = {"node": {"listen": [*listen, f"udp:127.0.0.1:{four}", f"tcp:127.0.0.1:{four}"]}}
    made = on(stores, certificates, "six", options)
    yield six, four
    made.close()


@pytest.mark.parametrize("callee", ["udp", "tcp", "four"])
@pytest.mark.parametrize("caller", ["udp", "tcp"])
async def test_ipv6(ports: tuple[int, int], caller: str, callee: str) -> None:
    six, four = ports
    other = Phone6(callee, six) if callee != "four" else SipPhone(new_user("b"), "udp", (LOOPBACK, four))
    async with Phone6(caller, six) as alice, other as bob:
        answer = await alice.register()
        assert ";received=::1" in answer.first("Via")
        await bob.register()
        calling, called = await connected(alice, bob)
        host = f"127.0.0.1:{four}" if callee == "four" else f"[::1]:{six}"
        assert called.invite.values("Via")[0].split()[1].startswith(host + ";")
        routes = called.invite.values("Record-Route")
        if caller == callee == "udp":
            assert len(routes) == 1
        else:
            assert host in routes[0] and f"[::1]:{six}" in routes[1]
        for side, peer in ((calling, called), (called, calling)):
            again = asyncio.create_task(side.reinvite())
            await peer.expect_reinvite()
            await again
        bye = asyncio.create_task(called.bye())
        await calling.expect_bye()
        await bye


# Via, keep-alives


def test_answers_find_their_way_by_via(node: Node) -> None:
    with Caller("udp", node.address("udp")) as source, Caller("udp", node.address("udp")) as listener:
        rport = source.ask(compose("OPTIONS sip:phones.test SIP/2.0", source.via()))
        assert b";rport=%d;" % source.local[1] in rport and b";received=127.0.0.1\r\n" in rport
        via = listener.via().replace(b";rport", b"").replace(b"127.0.0.1", b"192.0.2.7")
        source.send(compose("OPTIONS sip:phones.test SIP/2.0", via))
        listener.socket.connect((LOOPBACK, node.address("udp")[1]))
        answer = listener.final()
        assert b"192.0.2.7:%d" % listener.local[1] in answer and b";received=127.0.0.1\r\n" in answer
        assert b"rport" not in answer


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_keep_alives(node: Node, transport: str) -> None:
    with Caller(transport, node.address(transport), node.ca) as peer:
        peer.socket.settimeout(5)
        if transport == "udp":
            transaction = os.urandom(12)
            peer.send(b"\r\n\r\n")
            peer.send(b"\0")
            peer.send(stun.message(stun.BINDING_REQUEST, transaction, b"", fingerprint=True))
            found = stun.attributes(peer.socket.recv(1000))
            assert found[stun.XOR_MAPPED_ADDRESS] == stun.xor_address(*peer.local, transaction)
        else:
            peer.send(b"\r\n\r\n")
            assert peer.socket.recv(1000) == b"\r\n"
        assert status_of(peer.ask(compose("OPTIONS sip:phones.test SIP/2.0", peer.via()))) == 200


async def test_route_that_leads_on(node: Node) -> None:
    """Our own Route value goes, the other one is kept byte for byte and used."""
    host, port = node.address("udp")
    async with phone(node, "udp") as alice, foreign("udp") as proxy:
        kept = f"<sip:{LOOPBACK}:{proxy.port};lr;x=%41>;y=z"
        request = alice.send_request(
            "MESSAGE", "sip:x@elsewhere.test;p", fields=[("Route", f"<sip:{host}:{port};lr>, {kept}")]
        )
        _, arrived = await proxy.next()
        assert (arrived.all("Route"), arrived.uri) == ([kept], "sip:x@elsewhere.test;p")
        assert (await alice.expect_response(request)).status == 200


# foreign domains in DNS


def domain(**rows: list[str]) -> str:
    """A domain of its own with records: keyword `naptr`, `udp`, `tcp` (SRV) or `a`."""
    name = f"domain{next(_names)}.test"
    owners = {"naptr": (name, "NAPTR"), "a": (name, "A")}
    for key, data in rows.items():
        ZONE[owners.get(key, (f"_sip._{key}.{name}", "SRV"))] = [row.replace("@", name) for row in data]
    return name


async def test_naptr_chooses_the_transport_and_srv_the_server(node: Node) -> None:
    async with phone(node, "udp") as alice, foreign("udp", "tcp") as one, foreign("udp", "tcp") as two:
        name = domain(
            naptr=['20 1 "s" "SIP+D2U" "" _sip._udp.@.', '10 1 "s" "SIP+D2T" "" _sip._tcp.@.'],
            udp=[f"1 1 {one.port} @."], tcp=[f"2 1 {one.port} @.", f"1 1 {two.port} @."], a=[LOOPBACK],
        )  # fmt: skip
        await alice.message(f"sip:x@{name}", "hello")
        came, request = await two.next()
        assert (came, request.uri) == ("tcp", f"sip:x@{name}")
        await alice.message(f"sip:x@{name};transport=udp", "hello")
        assert (await one.next())[0] == "udp"
        await alice.message(f"sip:x@{name}:{two.port}", "hello")
        assert (await two.next())[0] == "udp"


async def test_next_server_where_one_refuses_connections(node: Node) -> None:
    dead = free_port()
    async with phone(node, "tls") as alice, foreign("tcp") as alive:
        name = domain(tcp=[f"1 1 {dead} @.", f"2 1 {alive.port} @."], a=[LOOPBACK])
        for _ in range(3):
            await alice.message(f"sip:x@{name}", "hello")
            assert (await alive.next())[0] == "tcp"


async def test_next_server_where_one_answers_503(node: Node) -> None:
    async with phone(node, "udp") as alice, foreign("udp", status=503) as full, foreign("udp") as free:
        name = domain(udp=[f"1 1 {full.port} @.", f"2 1 {free.port} @."], a=[LOOPBACK])
        await alice.message(f"sip:x@{name}", "hello")
        await full.next()
        await free.next()


async def test_nobody_there(node: Node) -> None:
    async with phone(node, "udp") as alice:
        await alice.message("sip:x@no-such-domain.test", "hello", status=404)
        name = domain(tcp=[f"1 1 {free_port()} @."], a=[LOOPBACK])
        await alice.message(f"sip:x@{name}", "hello", status=480)
        name = domain(udp=["0 0 0 ."], tcp=["0 0 0 ."], a=[LOOPBACK])
        await alice.message(f"sip:x@{name}", "hello", status=404)  # RFC 2782: decidedly not available


def test_bad_dns_answers_do_no_harm(node: Node) -> None:
    name = domain(udp=["0 0 5060 \\255\\000.test."])
    with Caller("udp", node.address("udp")) as peer:
        request = compose(f"OPTIONS sip:x@{name} SIP/2.0", peer.via())
        assert status_of(peer.ask(request.replace(b"raw@example.com", b"raw@phones.test"))) == 404
    assert json.loads(node.get("/status")[1])["counts"]["errors"] == 0
