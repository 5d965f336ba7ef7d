"""Ways to a server: certificates, proxies, names; what is said where there is none; both kinds of loop."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pycurl
import pytest
import trustme
import uvloop

from cluster.push.http import pool
from cluster.push.http.engine import Engine
from cluster.push.http.message import Connection, HttpRequest, HttpResponse
from tests.network.h2_server import H2Server


async def ask(
    engine: Engine, url: str, connection: Connection, timeout: float = 5.0, **fields: object
) -> HttpResponse:
    request = HttpRequest("POST", url, body=b"{}", timeout=timeout, connection=connection, **fields)  # type: ignore
    answer: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
    engine.send(request, answer.set_result)
    assert not answer.done(), "done was called within send"
    async with asyncio.timeout(timeout + 5):
        return await answer


class ConnectProxy:
    """An HTTP proxy for CONNECT that wants user `u` and password `p@ss`; counts its tunnels."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ConnectProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head.split(" ")[1])
            good = "Basic " + base64.b64encode(b"u:p@ss").decode()
            status = self.status if good in head else 407
            end = "" if status == 200 else "Content-Length: 0\r\n"
            writer.write(f"HTTP/1.1 {status} X\r\nProxy-Authenticate: Basic\r\n{end}\r\n".encode())
            if status == 200:
                host, _, port = head.split(" ")[1].rpartition(":")
                theirs, ours = await asyncio.open_connection(host, int(port))
                try:
                    await asyncio.gather(_copy(reader, ours), _copy(theirs, writer))
                finally:
                    ours.close()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(65_536):
        writer.write(octets)
    writer.write_eof() if writer.can_write_eof() else None


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine()
    yield engine
    await engine.close()


def write_certificate(authority: trustme.CA, name: str, file: Path) -> None:
    pem = authority.issue_cert(f"{name}@example.org", organization_unit_name=name)
    file.write_bytes(pem.private_key_and_cert_chain_pem.bytes())


async def test_a_changed_client_certificate_is_used_without_restart(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LOOK_AGAIN", 0.0)
    authority, cert = trustme.CA(), tmp_path / "cert.pem"
    authority.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    write_certificate(authority, "old", cert)
    async with H2Server(tmp_path, client_ca=str(tmp_path / "clients.pem")) as server:
        connection = Connection(server.ca, str(cert))
        assert (await ask(engine, server.url + "/", connection)).status == 200
        assert (await ask(engine, server.url + "/", connection)).status == 200
        write_certificate(authority, "new", cert)
        assert (await ask(engine, server.url + "/", connection)).status == 200

        assert [(seen.subject, seen.connection) for seen in server.seen] == [
            ("old", 1),
            ("old", 1),
            ("new", 2),
        ]


def refuse_one(listener: socket.socket, context: ssl.SSLContext) -> None:
    """A handshake that fails, over memory: asyncio's TLS would swallow the alert, and a socket that is closed
    with something unread resets the connection before the alert is heard."""
    connected, _ = listener.accept()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    with connected:
        connected.settimeout(5)
        with contextlib.suppress(ssl.CertificateError, ssl.SSLError):
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connected.sendall(outgoing.read())
                    incoming.write(connected.recv(65536))
        connected.sendall(outgoing.read())
        connected.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while connected.recv(65536):
                pass


async def test_a_server_that_refuses_our_certificate_is_told_as_such(engine: Engine, tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    theirs.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    write_certificate(ours, "x", tmp_path / "cert.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.issue_cert("localhost").configure_cert(context)
    theirs.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        port = listener.getsockname()[1]
        refusing = asyncio.create_task(asyncio.to_thread(refuse_one, listener, context))
        connection = Connection(str(tmp_path / "ca.pem"), str(tmp_path / "cert.pem"))
        response = await ask(engine, f"https://localhost:{port}/", connection)
        await refusing

    assert response.error == f"localhost:{port} refuses our client certificate: replace {tmp_path}/cert.pem"
    assert response.unprocessed


async def test_a_connection_that_is_never_made_times_out_as_unprocessed(
    engine: Engine, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # takes the connection and says nothing
        port = listener.getsockname()[1]
        asked = (ask(engine, f"https://localhost:{port}/", Connection(), timeout=0.3) for _ in range(10))
        responses = await asyncio.gather(*asked)

    remedy = "check the firewall, or set [push] proxy"
    assert {response.error for response in responses} == {
        f"no connection to localhost:{port} within 0.3 s: {remedy}"
    }
    assert all(response.unprocessed for response in responses)


async def test_a_proxy_is_passed_with_its_password(engine: Engine, tmp_path: Path) -> None:
    async with H2Server(tmp_path) as server, ConnectProxy() as proxy:
        connection = Connection(server.ca, proxy=f"http://u:p%40ss@127.0.0.1:{proxy.port}")
        responses = await asyncio.gather(*(ask(engine, server.url + "/", connection) for _ in range(20)))

        assert responses == [HttpResponse(200)] * 20
        assert proxy.asked == [f"localhost:{server.port}"]
        await engine.close()


@pytest.mark.parametrize("password, status, said", [
    ("wrong", 200, "refuses our user name or password (407): correct [push] proxy"),
    ("p%40ss", 403, "opens no tunnel to localhost:{port} (403): allow it there, or correct [push] proxy"),
])  # fmt: skip
async def test_a_proxy_that_refuses_is_told_without_its_password(
    engine: Engine, tmp_path: Path, password: str, status: int, said: str
) -> None:
    async with H2Server(tmp_path) as server, ConnectProxy(status) as proxy:
        connection = Connection(server.ca, proxy=f"http://u:{password}@127.0.0.1:{proxy.port}")
        response = await ask(engine, server.url + "/", connection)

        assert response.error == f"proxy 127.0.0.1:{proxy.port} " + said.format(port=server.port)
        assert response.unprocessed
        assert server.opened == 0


async def test_the_proxy_of_the_environment_is_not_used(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    async with H2Server(tmp_path) as server:
        assert (await ask(engine, server.url + "/", Connection(server.ca))).status == 200


SECRET = "http://u:secret@"


@pytest.mark.parametrize(
    "url, fields, said",
    [
        ("https://localhost:1/", {}, "localhost:1 takes no connection: check that it runs, and the firewall"),
        ("https://no.invalid/", {}, "no.invalid has no address: check the name and the DNS of this node"),
        ("ftp://x/", {}, "request: the URL is neither http nor https"),
        ("https://", {}, "request: the URL is neither http nor https"),
        ("{url}/", {"ca": ""}, "is not trusted"),
        ("{url}/", {"ca": "/none.pem"}, "[push] ca: /none.pem cannot be read or holds no PEM"),
        ("{url}/", {"cert": "/none.pem"}, "cannot be used: check /none.pem"),
        ("{url}/", {"proxy": SECRET + "127.0.0.1:1"}, "proxy 127.0.0.1:1 takes no connection: start it"),
        ("{url}/", {"proxy": SECRET + "no.invalid:1"}, "proxy no.invalid:1 has no address"),
        ("{url}/", {"proxy": "socks9://u:secret@x"}, "[push] proxy is no URL"),
        ("{url}/", {"proxy": SECRET + "x:port"}, "[push] proxy is no URL"),
        ("{url}/\x00", {}, "cannot be written"),
    ],
)
async def test_where_there_is_no_way_the_remedy_is_told(
    engine: Engine, tmp_path: Path, url: str, fields: dict[str, str], said: str
) -> None:
    async with H2Server(tmp_path) as server:
        connection = Connection(**{"ca": server.ca, **fields})
        response = await ask(engine, url.replace("{url}", server.url), connection)

    assert (response.status, response.unprocessed) == (0, True)
    assert said in response.error
    assert "secret" not in response.error


async def test_a_header_cannot_smuggle_another(engine: Engine, tmp_path: Path) -> None:
    async with H2Server(tmp_path) as server:
        headers = (("apns-collapse-id", "x\r\nauthorization: bearer mine"),)
        response = await ask(engine, server.url + "/", Connection(server.ca), headers=headers)

        assert "a header holds a line break" in response.error
        assert server.seen == []


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_both_loops_carry_it(run: object, tmp_path: Path) -> None:
    async def talk() -> list[HttpResponse]:
        engine = Engine()
        async with H2Server(tmp_path) as server:
            asked = (ask(engine, server.url + "/", Connection(server.ca)) for _ in range(300))
            responses = await asyncio.gather(*asked)
            await engine.close()
        return responses

    assert run(talk()) == [HttpResponse(200)] * 300  # type: ignore[operator]


class SlowToClose(pycurl.CurlMulti):  # type: ignore[misc]
    """As when libcurl waits for a name server that does not answer."""

    def close(self) -> None:
        time.sleep(1.5)
        super().close()


async def test_names_that_are_still_looked_up_hold_neither_the_loop_nor_the_end_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pycurl, "CurlMulti", SlowToClose)
    loop = asyncio.get_running_loop()
    engine = Engine()
    async with H2Server(tmp_path) as server:
        assert (await ask(engine, server.url + "/", Connection(server.ca))).status == 200
        began = loop.time()
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0.05)
        assert loop.time() - began < 0.5
        await closing
        assert loop.time() - began < 1.4
        async with asyncio.timeout(5):
            while server.open:
                await asyncio.sleep(0.01)


async def test_a_name_that_resolves_to_a_private_address_is_not_connected_to(tmp_path: Path) -> None:
    """A subscription may name a host whose address changes between the look at it and the connection."""
    async with asyncio.timeout(20):
        server = socket.create_server(("127.0.0.1", 0))
        server.setblocking(False)
        engine = Engine()
        port = server.getsockname()[1]
        try:
            response = await ask(engine, f"https://localhost:{port}/", Connection(public=True))
            assert response.status == 0 and response.unprocessed
            with pytest.raises(BlockingIOError):
                server.accept()
            await ask(engine, f"https://localhost:{port}/", Connection(), timeout=0.5)
            server.accept()[0].close()
        finally:
            await engine.close()
            server.close()
