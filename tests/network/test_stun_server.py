"""The STUN server on real sockets: UDP, TCP, TLS, two addresses, and sources that ask too much."""

import asyncio
import contextlib
import ssl

import pytest
import trustme

from relay.address import Address
from relay.sockets import open_socket
from relay.stun.message import BINDING, Attribute, Class, attribute, decode, encode, read_address
from relay.stun.server import Listen, StunServer
from tests.network.relay_rig import Phone

T = bytes(range(12))
PLAIN = encode(Class.REQUEST, BINDING, T, b"")


@contextlib.asynccontextmanager
async def running(listen: Listen, **options):
    server = StunServer(listen, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


async def ask(phone: Phone, to: tuple[str, int], data: bytes = PLAIN):
    phone.send(data, to)
    got = await asyncio.to_thread(phone.read)
    return None if got is None else decode(got)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_udp(host: str) -> None:
    async with running(Listen(udp=(Address(host, 0),))) as server:
        phone = Phone(host)
        for data in (PLAIN, encode(Class.REQUEST, BINDING, T, b"", sign=True), PLAIN):
            message = await ask(phone, server.udp[0], data)
            assert read_address(message.value(Attribute.XOR_MAPPED_ADDRESS), T) == (host, phone.port)
            assert message.transaction == T
            assert message.fingerprinted == (len(data) == 28)
        assert (server.answered, server.dropped, server.limited) == (3, 0, 0)
        for data in (b"", b"x" * 1400, PLAIN[:-1], encode(Class.SUCCESS, BINDING, T, b"")):
            phone.send(data, server.udp[0])
        assert await ask(phone, server.udp[0])
        assert server.dropped == 4
        assert phone.drain() == []
        phone.close()


async def test_a_source_that_asks_too_much() -> None:
    async with running(Listen(udp=(Address("127.0.0.1", 0),)), rate=1, burst=10) as server:
        phone, other = Phone(), Phone("127.0.0.2")
        for _ in range(40):
            phone.send(PLAIN, server.udp[0])
        assert await ask(other, server.udp[0])
        assert (server.answered, server.limited) == (11, 30)
        assert len(phone.drain()) == 10
        phone.close()
        other.close()


def free_ports() -> tuple[int, int]:
    with open_socket("127.0.0.1", 0) as one, open_socket("127.0.0.1", 0) as other:
        return one.getsockname()[1], other.getsockname()[1]


async def test_behaviour_discovery() -> None:
    one, two = free_ports()
    async with running(Listen(discovery=(("127.0.0.1", "127.0.0.3", one, two),))) as server:
        assert len(server.udp) == 4
        phone = Phone()
        sources = [("127.0.0.1", one), ("127.0.0.1", two), ("127.0.0.3", one), ("127.0.0.3", two)]
        for flags, source in zip((0, 2, 4, 6), sources, strict=True):
            change = attribute(Attribute.CHANGE_REQUEST, bytes((0, 0, 0, flags)))
            message = await ask(phone, ("127.0.0.1", one), encode(Class.REQUEST, BINDING, T, change))
            assert phone.came_from == source
            assert read_address(message.value(Attribute.RESPONSE_ORIGIN)) == source
            assert read_address(message.value(Attribute.OTHER_ADDRESS)) == sources[3]
        elsewhere = Phone()
        port = attribute(Attribute.RESPONSE_PORT, elsewhere.port.to_bytes(2, "big") + bytes(2))
        phone.send(encode(Class.REQUEST, BINDING, T, port), ("127.0.0.1", one))
        assert decode(await asyncio.to_thread(elsewhere.read)).kind == Class.SUCCESS
        phone.close()
        elsewhere.close()


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@pytest.mark.parametrize("secure", [False, True])
async def test_streams(secure: bool) -> None:
    context, trust = contexts()
    where = (Address("127.0.0.1", 0),)
    listen = Listen(tls=where) if secure else Listen(tcp=where)
    async with running(listen, context=context, software="Clarion") as server, asyncio.timeout(10):
        host, port = server.streams[0]
        client = {"ssl": trust, "server_hostname": "localhost"} if secure else {}
        reader, writer = await asyncio.open_connection(host, port, **client)
        writer.write(PLAIN[:7])
        await writer.drain()
        writer.write(PLAIN[7:] + PLAIN + encode(Class.INDICATION, BINDING, T, b"") + PLAIN)
        for _ in range(3):
            message = decode(await reader.readexactly(20 + 12 + 12))
            mapped = read_address(message.value(Attribute.XOR_MAPPED_ADDRESS), T)
            assert mapped == writer.get_extra_info("sockname")[:2]
            assert message.value(Attribute.SOFTWARE) == b"Clarion"
        writer.write(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert server.answered == 3


async def test_connections_are_bounded_and_limited() -> None:
    listen = Listen(tcp=(Address("127.0.0.1", 0),))
    async with running(listen, connections=1, rate=1, burst=3) as server, asyncio.timeout(10):
        host, port = server.streams[0]
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(PLAIN)
        assert await reader.readexactly(44)
        second, closing = await asyncio.open_connection(host, port)
        with contextlib.suppress(ConnectionError):
            assert await second.read() == b""
        closing.close()
        writer.write(PLAIN * 10)
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read()) <= 88
            assert await reader.read() == b""
        writer.close()


async def test_an_address_that_is_taken() -> None:
    with open_socket("127.0.0.1", 0) as held:
        server = StunServer(Listen(udp=(Address("127.0.0.1", 0), Address(*held.getsockname()))))
        with pytest.raises(OSError, match="in use"):
            await server.start()
        assert server.udp == []
    with pytest.raises(ValueError, match="certificate"):
        StunServer(Listen(tls=(Address("127.0.0.1", 0),)))
