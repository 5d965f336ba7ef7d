"""The engine against a real HTTPS server on loopback: answers, and what may go wrong on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.push.http.engine import Engine
from cluster.push.http.message import Connection, HttpRequest, HttpResponse
from tests.network.h2_server import H2Server, Reply, Seen


async def ask(
    engine: Engine, url: str, connection: Connection, body: bytes = b"{}", timeout: float = 5.0
) -> HttpResponse:
    """One request; at most a second more than its timeout."""
    request = HttpRequest("POST", url, (("apns-topic", "org.example"),), body, timeout, connection)
    answer: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
    engine.send(request, answer.set_result)
    assert not answer.done(), "done was called within send"
    async with asyncio.timeout(timeout + 5):
        return await answer


def scripted(seen: Seen) -> Reply:
    """The path says what is to happen: /410, /silent, /refused, ..., /slow/0.3."""
    kind, _, rest = seen.path[1:].partition("/")
    if kind.isdecimal():
        return Reply(int(kind), (("Apns-Id", "x"),), b'{"reason":"Unregistered"}')
    if kind == "slow":
        return Reply(delay=float(rest))
    return Reply(fault="" if kind == "ok" else kind)


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine()
    yield engine
    await engine.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[H2Server]:
    async with H2Server(tmp_path, scripted) as server:
        yield server


async def test_a_request_arrives_as_it_was_written_and_the_answer_comes_back(
    engine: Engine, server: H2Server
) -> None:
    response = await ask(engine, f"{server.url}/410", Connection(server.ca), b'{"aps":{}}')

    assert response == HttpResponse(410, {"apns-id": "x"}, b'{"reason":"Unregistered"}')
    seen = server.seen[0]
    assert (seen.method, seen.path, seen.body, seen.version) == ("POST", "/410", b'{"aps":{}}', "h2")
    assert seen.headers["apns-topic"] == "org.example"
    assert "content-type" not in seen.headers


async def test_methods_share_a_handle_without_leaving_traces(engine: Engine, server: H2Server) -> None:
    connection = Connection(server.ca)
    for method, body in (("POST", b"1"), ("GET", b""), ("PUT", b"2"), ("DELETE", b""), ("POST", b"")):
        answer: asyncio.Future[HttpResponse] = asyncio.get_running_loop().create_future()
        engine.send(
            HttpRequest(method, f"{server.url}/ok", body=body, connection=connection), answer.set_result
        )
        assert (await asyncio.wait_for(answer, 5)).status == 200

    rows = [(seen.method, seen.body) for seen in server.seen]
    assert rows == [("POST", b"1"), ("GET", b""), ("PUT", b"2"), ("DELETE", b""), ("POST", b"")]


async def test_thousands_of_refusals_on_one_connection_do_not_stall(engine: Engine, server: H2Server) -> None:
    connection, left, statuses = Connection(server.ca), 5000, []
    over = asyncio.Event()
    server.record = False

    def done(response: HttpResponse) -> None:
        nonlocal left
        statuses.append(response.status)
        if left:
            begin()
        elif len(statuses) == 5000:
            over.set()

    def begin() -> None:
        nonlocal left
        left -= 1
        engine.send(HttpRequest("POST", f"{server.url}/410", body=b"{}", connection=connection), done)

    for _ in range(100):
        begin()
    await asyncio.wait_for(over.wait(), 60)

    assert set(statuses) == {410}
    assert server.opened == 1


async def test_requests_at_the_same_time_share_a_connection(engine: Engine, server: H2Server) -> None:
    connection = Connection(server.ca)
    answers = [ask(engine, f"{server.url}/slow/0.2", connection) for _ in range(100)]
    began = time.monotonic()
    assert {response.status for response in await asyncio.gather(*answers)} == {200}

    assert time.monotonic() - began < 2.0
    assert server.opened == 1


async def test_goaway_in_mid_flight_loses_nothing(engine: Engine, tmp_path: Path) -> None:
    def script(seen: Seen) -> Reply:
        first = seen.connection == 1
        return Reply(fault="goaway") if first and seen.path == "/30" else Reply(delay=0.1 if first else 0)

    async with H2Server(tmp_path, script) as server:
        connection = Connection(server.ca)
        await ask(engine, f"{server.url}/0", connection)
        answers = [ask(engine, f"{server.url}/{number}", connection) for number in range(1, 100)]
        responses = await asyncio.gather(*answers)

        refused = [response for response in responses if response.status != 200]
        unread = {f"/{number}" for number in range(30, 100)}
        assert unread <= {seen.path for seen in server.seen if seen.connection > 1}
        assert all(response.status == 0 and not response.unprocessed for response in refused)
        assert [response.status for response in responses[29:]] == [200] * 70


async def test_a_graceful_goaway_disturbs_nobody(engine: Engine, tmp_path: Path) -> None:
    """The server reads no more requests on the connection and answers those it has."""

    def script(seen: Seen) -> Reply:
        return Reply(fault="retire") if seen.path == "/30" and seen.connection == 1 else Reply(delay=0.1)

    async with H2Server(tmp_path, script) as server:
        connection = Connection(server.ca)
        await ask(engine, f"{server.url}/0", connection)
        answers = [ask(engine, f"{server.url}/{number}", connection) for number in range(1, 100)]

        assert {response.status for response in await asyncio.gather(*answers)} == {200}
        assert server.opened > 1
        assert (await ask(engine, f"{server.url}/101", connection)).status == 200


async def test_a_refused_stream_is_repeated_on_another_connection(engine: Engine, tmp_path: Path) -> None:
    async with H2Server(
        tmp_path, lambda seen: Reply(fault="refused" if seen.connection < 3 else "")
    ) as server:
        assert (await ask(engine, f"{server.url}/", Connection(server.ca))).status == 200
        assert server.opened == 3


async def test_streams_refused_for_ever_end_as_unprocessed(engine: Engine, server: H2Server) -> None:
    response = await ask(engine, f"{server.url}/refused", Connection(server.ca))

    assert (response.status, response.unprocessed) == (0, True)
    assert "refused the request" in response.error
    assert server.opened < 10


async def test_more_requests_than_the_server_allows_streams_wait_their_turn(tmp_path: Path) -> None:
    async with H2Server(tmp_path, scripted, streams=100) as server:
        engine = Engine(concurrency=1000)
        answers = [ask(engine, f"{server.url}/slow/0.05", Connection(server.ca)) for _ in range(1000)]

        assert {response.status for response in await asyncio.gather(*answers)} == {200}
        assert server.opened <= 4
        await engine.close()


async def test_a_server_that_allows_one_stream_until_the_first_answer_gets_one(
    engine: Engine, tmp_path: Path
) -> None:
    """As APNs does until it has seen a good access token."""
    async with H2Server(tmp_path, scripted, streams=1, streams_later=1000) as server:
        answers = [ask(engine, f"{server.url}/slow/0.02", Connection(server.ca)) for _ in range(200)]

        assert {response.status for response in await asyncio.gather(*answers)} == {200}
        assert server.opened == 1


async def test_a_server_that_never_answers_times_out_and_says_so(engine: Engine, server: H2Server) -> None:
    response = await ask(engine, f"{server.url}/silent", Connection(server.ca), timeout=0.2)

    assert (response.status, response.unprocessed) == (0, False)
    assert response.error == f"localhost:{server.port} gave no answer within 0.2 s"


async def test_a_timed_out_request_does_not_disturb_the_others(engine: Engine, server: H2Server) -> None:
    connection = Connection(server.ca)
    slow = [ask(engine, f"{server.url}/slow/0.5", connection) for _ in range(20)]
    silent = [ask(engine, f"{server.url}/silent", connection, timeout=0.2) for _ in range(20)]
    responses = await asyncio.gather(*slow, *silent)

    assert [response.status for response in responses] == [200] * 20 + [0] * 20
    assert server.opened == 1


async def test_a_first_request_without_an_answer_does_not_hold_the_others_up(
    engine: Engine, server: H2Server
) -> None:
    connection = Connection(server.ca)
    silent = ask(engine, f"{server.url}/silent", connection, timeout=3.0)
    others = [ask(engine, f"{server.url}/ok", connection) for _ in range(50)]
    began = time.monotonic()
    first, *rest = [asyncio.ensure_future(one) for one in (silent, *others)]

    assert {response.status for response in await asyncio.gather(*rest)} == {200}
    assert time.monotonic() - began < 2.0
    assert (await first).status == 0


async def test_a_connection_on_which_nothing_comes_back_is_left(engine: Engine, tmp_path: Path) -> None:
    """As after a firewall forgot it: only a new connection helps."""
    async with H2Server(
        tmp_path, lambda seen: Reply(fault="silent" if seen.connection == 1 else "")
    ) as server:
        connection = Connection(server.ca)
        assert (await ask(engine, f"{server.url}/", connection, timeout=0.2)).status == 0
        assert (await ask(engine, f"{server.url}/", connection, timeout=2.0)).status == 200


async def test_a_black_hole_does_not_change_the_latency_of_another_server(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with (
        H2Server(tmp_path / "a", lambda _: Reply(fault="silent")) as hole,
        H2Server(tmp_path / "b", scripted) as good,
    ):
        lost = [ask(engine, f"{hole.url}/", Connection(hole.ca), timeout=1.5) for _ in range(500)]
        holes = asyncio.gather(*lost)
        await asyncio.sleep(0)
        waits = []
        for _ in range(100):
            began = time.monotonic()
            assert (await ask(engine, f"{good.url}/ok", Connection(good.ca))).status == 200
            waits.append(time.monotonic() - began)
        assert not holes.done()
        assert sorted(waits)[50] < 0.02
        assert {response.status for response in await holes} == {0}


@pytest.mark.parametrize("fault", ["drop", "reset"])
async def test_a_broken_connection_ends_in_a_sentence(engine: Engine, server: H2Server, fault: str) -> None:
    response = await ask(engine, f"{server.url}/{fault}", Connection(server.ca))

    assert (response.status, response.unprocessed) == (0, False)
    assert response.error.startswith(f"the connection to localhost:{server.port} broke before the answer")
    assert (await ask(engine, f"{server.url}/ok", Connection(server.ca))).status == 200


async def test_a_server_with_http_1_1_only_is_served_on_bounded_connections(
    engine: Engine, tmp_path: Path
) -> None:
    async with H2Server(tmp_path, scripted, http2=False) as server:
        connection = Connection(server.ca)
        answers = [ask(engine, f"{server.url}/410", connection, b"x" * 3000) for _ in range(100)]

        assert {response.status for response in await asyncio.gather(*answers)} == {410}
        assert server.seen[0].version == "http/1.1"
        assert server.opened <= 16
        opened = server.opened
        assert (await ask(engine, f"{server.url}/410", connection)).body == b'{"reason":"Unregistered"}'
        assert server.opened == opened  # kept alive


async def test_http_2_is_not_offered_where_it_is_not_wanted(engine: Engine, server: H2Server) -> None:
    await ask(engine, f"{server.url}/ok", Connection(server.ca, http2=False))

    assert server.seen[0].version == "http/1.1"


@pytest.mark.parametrize("endless", [False, True])
async def test_a_body_is_read_up_to_64_kib(engine: Engine, tmp_path: Path, endless: bool) -> None:
    reply = Reply(413, body=b"x" * 70_000, endless=endless)
    async with H2Server(tmp_path, lambda _: reply) as server:
        began = time.monotonic()
        response = await ask(engine, f"{server.url}/", Connection(server.ca))

        assert (response.status, len(response.body)) == (413, 65_536)
        assert time.monotonic() - began < 2.0


async def test_what_exceeds_the_concurrency_waits_and_is_sent(server: H2Server) -> None:
    engine = Engine(concurrency=4)
    connection = Connection(server.ca)
    answers = [ask(engine, f"{server.url}/slow/0.01", connection) for _ in range(41)]
    late = [ask(engine, f"{server.url}/ok", connection) for _ in range(3)]
    responses = await asyncio.gather(*answers, *late)
    await engine.close()

    assert [response.status for response in responses] == [200] * 41 + [0] * 3
    assert all("too many requests" in response.error and response.unprocessed for response in responses[41:])


async def test_close_ends_everything(server: H2Server) -> None:
    engine = Engine(concurrency=5)
    connection = Connection(server.ca)
    await ask(engine, f"{server.url}/ok", connection)
    waiting = asyncio.gather(*(ask(engine, f"{server.url}/silent", connection) for _ in range(10)))
    await asyncio.sleep(0.05)
    await engine.close()

    assert {(response.status, response.error) for response in await waiting} == {(0, "closed")}
    async with asyncio.timeout(5):
        while server.open:
            await asyncio.sleep(0.01)
    assert (await ask(engine, f"{server.url}/ok", connection)).error == "closed"
