"""TLS through real sockets: handshakes good and bad, names, big writes."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import trustme
import uvloop

from node.settings import TlsSettings
from node.transport.tls_context import TlsContexts, tls_contexts
from tests.network.transport_peer import options, read, running

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture
def event_loop_policy():
    return uvloop.EventLoopPolicy()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> TlsContexts:
    folder: Path = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("localhost", "127.0.0.1", "sip.example.com")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    return tls_contexts(TlsSettings(cert=str(folder / "server.pem"), ca=str(folder / "ca.pem")))


async def phone(transports, authority: trustme.CA) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    port = transports.listeners[0].port
    return await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="sip.example.com")


async def test_a_phone(tls: TlsContexts, authority: trustme.CA) -> None:
    async with running("tls:127.0.0.1:0", tls=tls) as (transports, recorder):
        recorder.reply = lambda raw, flow: flow.send(raw)
        reader, writer = await phone(transports, authority)
        for number in range(20):
            writer.write(options(number))
            assert await reader.readexactly(len(options(number))) == options(number)
        writer.write(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\r\n"
        _, flow = await recorder.message()
        assert (flow.transport, flow.reliable) == ("tls", True)
        writer.close()
        assert await recorder.close_of(flow) == "closed by the peer"


async def test_much_in_both_directions(tls: TlsContexts, authority: trustme.CA) -> None:
    async with running("tls:127.0.0.1:0", tls=tls) as (transports, recorder):
        reader, writer = await phone(transports, authority)
        body = b"z" * 50_000
        big = options(1).replace(b"Content-Length: 0", b"Content-Length: 50000") + body
        writer.write(big * 5)
        await recorder.message(5)
        assert all(raw == big for raw, _ in recorder.messages)
        flow = recorder.messages[0][1]
        sent = b"".join(b"%07d " % number for number in range(100_000))
        for at in range(0, len(sent), 1000):
            flow.send(sent[at : at + 1000])
        assert await reader.readexactly(len(sent)) == sent
        flow.close("as tested")
        assert await reader.read() == b""
        writer.close()


async def test_half_a_handshake_for_ever(tls: TlsContexts) -> None:
    async with running("tls:127.0.0.1:0", tls=tls, handshake_timeout=10) as (transports, _):
        loop = asyncio.get_running_loop()
        connections = transports.connections
        socks = [socket.create_connection(("127.0.0.1", transports.listeners[0].port)) for _ in range(3)]
        for sock in socks:
            sock.setblocking(False)
        socks[1].send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        socks[2].send(b"OPTIONS sip:a SIP/2.0\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            answer = await loop.sock_recv(socks[2], 1000)
            assert answer == b"" or answer[0] == 0x15, "an alert or nothing"
        async with asyncio.timeout(5):
            while len(connections) != 2:
                await asyncio.sleep(0.001)
        connections.deadlines.sweep(connections.deadlines.now + 5)
        assert len(connections) == 2
        connections.deadlines.sweep(connections.deadlines.now + 12)
        assert len(connections) == 0
        assert await read(socks[0]) == b""
        for sock in socks:
            sock.close()


async def test_connections_of_ours_verify_the_name(tls: TlsContexts) -> None:
    async with (
        running("tls:127.0.0.1:0", tls=tls) as (far, server),
        running("tls:127.0.0.1:0", tls=tls) as (
            near,
            client,
        ),
    ):
        server.reply = lambda raw, flow: flow.send(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n")
        port = far.listeners[0].port
        flow = near.flow_to("tls", "127.0.0.1", port, "sip.example.com")
        flow.send(options())
        await client.message()
        assert near.flow_to("tls", "127.0.0.1", port, "sip.example.com") is flow
        by_address = near.flow_to("tls", "127.0.0.1", port)
        assert by_address is not flow
        by_address.send(options(2))
        await client.message(2)
        other = near.flow_to("tls", "127.0.0.1", port, "other.example.com")
        other.send(options(3))
        assert "TLS handshake: Hostname mismatch" in await client.close_of(other)
        assert len(server.messages) == 2


async def test_a_strange_authority_is_refused(tls: TlsContexts) -> None:
    strange = ssl.create_default_context()
    async with (
        running("tls:127.0.0.1:0", tls=tls) as (far, _),
        running("tls:127.0.0.1:0", tls=TlsContexts(tls.server, strange)) as (near, client),
    ):
        flow = near.flow_to("tls", "127.0.0.1", far.listeners[0].port, "localhost")
        assert "TLS handshake: " in await client.close_of(flow)


async def test_lost_framing_over_tls(tls: TlsContexts, authority: trustme.CA) -> None:
    async with running("tls:127.0.0.1:0", tls=tls) as (transports, recorder):
        reader, writer = await phone(transports, authority)
        writer.write(b"\x01\x02\x03" + b"x" * 30_000)
        assert (await reader.read(1000)).startswith(b"SIP/2.0 400 ")
        assert await reader.read() == b""
        writer.close()
        assert len(recorder.errors) == 1


async def test_certificates_can_be_replaced(tls: TlsContexts, authority: trustme.CA) -> None:
    other = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    other.issue_cert("sip.example.com").configure_cert(context)
    async with running("tls:127.0.0.1:0", tls=tls) as (transports, recorder):
        reader, writer = await phone(transports, authority)
        transports.reload_tls(TlsContexts(context, tls.client))
        _, second = await phone(transports, other)
        with pytest.raises(ssl.SSLError):
            await phone(transports, authority)
        writer.write(options())
        await recorder.message()
        for one in (writer, second):
            one.close()
        del reader


def test_faulty_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nothing")
    with pytest.raises(OSError, match=r"\[tls\] cert, key"):
        tls_contexts(TlsSettings(cert=str(tmp_path / "bad.pem")))
    with pytest.raises(OSError, match=r"\[tls\] ca"):
        tls_contexts(TlsSettings(ca=str(tmp_path / "none.pem")))
    assert tls_contexts(TlsSettings()).server is None
