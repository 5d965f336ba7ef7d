"""TCP through real sockets: framing, bounds, deadlines, closing."""

import asyncio
import socket

import pytest
import uvloop

from node.transport.connection import GONE
from tests.network.transport_peer import options, read, running

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture
def event_loop_policy():
    return uvloop.EventLoopPolicy()


async def phone(transports, index: int = 0, **buffers: int) -> socket.socket:
    listener = transports.listeners[index]
    sock = socket.socket(socket.AF_INET6 if ":" in listener.host else socket.AF_INET)
    if buffers:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers["receive"])
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (listener.host, listener.port))
    return sock


@pytest.mark.parametrize("listen", ["tcp:127.0.0.1:0", "tcp:[::1]:0"])
async def test_messages_in_pieces_and_in_heaps(listen: str) -> None:
    async with running(listen) as (transports, recorder):
        recorder.reply = lambda raw, flow: flow.send(raw)
        one = await phone(transports)
        for octet in options(1):
            one.send(bytes([octet]))
        _, flow = await recorder.message()
        heap = b"".join(options(number) for number in range(2, 12))
        one.send(heap + options(12)[:50])
        await recorder.message(11)
        one.send(options(12)[50:])
        await recorder.message(12)
        assert [raw for raw, _ in recorder.messages] == [options(number) for number in range(1, 13)]
        got = b""
        while len(got) < len(options(1)) + len(heap) + len(options(12)):
            got += await read(one)
        assert got == b"".join(options(number) for number in range(1, 13))
        assert (flow.transport, flow.reliable, flow.rport) == ("tcp", True, one.getsockname()[1])
        assert transports.flow_by_serial(flow.serial) is flow
        one.close()
        assert await recorder.close_of(flow) == "closed by the peer"
        assert transports.flow_by_serial(flow.serial) is None
        assert flow.closed
        flow.send(b"never raises")


async def test_keep_alives() -> None:
    async with running("tcp:127.0.0.1:0") as (transports, recorder):
        one = await phone(transports)
        one.send(b"\r\n\r\n")
        assert await read(one) == b"\r\n"
        one.send(b"\r\n" + options())
        await recorder.message()
        one.send(b"\r\n\r\n")
        assert await read(one) == b"\r\n"
        assert len(recorder.messages) == 1
        one.close()


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (options().replace(b"Content-Length: 0", b"Content-Length: nil"), 400),
        (options().replace(b"Content-Length: 0", b"Content-Length: 9999999"), 413),
    ],
)
async def test_lost_framing_is_answered_then_closed(garbage: bytes, status: int) -> None:
    async with running("tcp:127.0.0.1:0", limits={"max_message": 4096}) as (transports, recorder):
        one = await phone(transports)
        one.send(options() + garbage)
        one.send(b"more that nobody reads" * 1000)
        await recorder.until(lambda: recorder.errors)
        error, flow = recorder.errors[0]
        assert error.status == status
        assert (await read(one)).startswith(b"SIP/2.0 %d " % status)
        assert await read(one) == b""
        assert len(recorder.messages) == 1
        assert str(status) in await recorder.close_of(flow)
        one.close()
        async with asyncio.timeout(5):
            while len(transports.connections):
                await asyncio.sleep(0)


async def test_one_octet_a_second_is_not_endured() -> None:
    async with running("tcp:127.0.0.1:0", message_timeout=30, idle_timeout=3600) as (transports, recorder):
        deadlines = transports.connections.deadlines
        one = await phone(transports)
        one.send(options())
        _, flow = await recorder.message()
        now = deadlines.now
        for second in range(60):
            one.send(options()[second : second + 1])
            await asyncio.sleep(0.001)
            now += 1
            deadlines.sweep(now)
            if flow.closed:
                break
        assert 29 <= second <= 33
        assert "not complete within 30 s" in await recorder.close_of(flow)
        one.close()


async def test_messages_that_arrive_in_time_are_no_fault() -> None:
    async with running("tcp:127.0.0.1:0", message_timeout=30, idle_timeout=100) as (transports, recorder):
        deadlines = transports.connections.deadlines
        one = await phone(transports)
        now = deadlines.now
        for number in range(1, 20):  # always one message and a half
            one.send(options(number)[100:] + options(number + 1)[:100] if number > 1 else options(2)[:100])
            if number > 1:
                await recorder.message(number - 1)
            now += 20
            deadlines.sweep(now)
        flow = recorder.messages[0][1]
        assert not flow.closed
        one.send(options(20)[100:])
        await recorder.message(19)
        for _ in range(8):
            now += 10
            deadlines.sweep(now)
        assert not flow.closed
        for _ in range(4):
            now += 10
            deadlines.sweep(now)
        assert await recorder.close_of(flow) == "no traffic for 100 s"
        one.close()


async def test_a_slow_reader_is_given_up_at_the_bound() -> None:
    async with running("tcp:127.0.0.1:0", send_queue=300_000) as (transports, recorder):
        one = await phone(transports, receive=4096)
        one.send(options())
        _, flow = await recorder.message()
        for _ in range(200):
            flow.send(b"x" * 50_000)
            await asyncio.sleep(0)
            if flow.closed:
                break
            assert flow._queued <= 300_000
        assert "does not read" in await recorder.close_of(flow)
        assert (flow._out, flow._queued, flow._state) == ([], 0, GONE)
        one.close()


async def test_partial_writes_lose_nothing() -> None:
    async with running("tcp:127.0.0.1:0") as (transports, recorder):
        one = await phone(transports, receive=4096)
        one.send(options())
        _, flow = await recorder.message()
        sent = b"".join(b"%07d " % number for number in range(100_000))
        for at in range(0, len(sent), 1000):
            flow.send(sent[at : at + 1000])
        got = b""
        while len(got) < len(sent):
            got += await read(one)
        assert got == sent
        assert not flow._writing
        one.close()


async def test_close_lets_queued_output_leave() -> None:
    async with running("tcp:127.0.0.1:0") as (transports, recorder):
        one = await phone(transports, receive=4096)
        one.send(options())
        _, flow = await recorder.message()
        sent = b"y" * 900_000
        flow.send(sent)
        flow.close("as tested")
        assert flow.closed
        assert await recorder.close_of(flow) == "as tested"
        got = b""
        while piece := await read(one):
            got += piece
        assert got == sent
        one.close()


async def test_close_does_not_wait_for_ever() -> None:
    async with running("tcp:127.0.0.1:0") as (transports, recorder):
        one = await phone(transports, receive=4096)
        one.send(options())
        _, flow = await recorder.message()
        flow.send(b"y" * 1_000_000)
        await asyncio.sleep(0)
        flow.send(b"y" * 900_000)
        flow.close("as tested")
        transports.connections.deadlines.sweep(transports.connections.deadlines.now + 4)
        assert len(transports.connections) == 0
        one.close()


async def test_a_reset_closes_with_a_reason() -> None:
    async with running("tcp:127.0.0.1:0") as (transports, recorder):
        one = await phone(transports)
        one.send(options())
        _, flow = await recorder.message()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        one.close()
        assert "reset" in (await recorder.close_of(flow)).lower()


@pytest.mark.parametrize("data", [options(), options()[:50], options() + b"\r\n\r\n"])
async def test_a_reset_behind_data_is_seen(data: bytes) -> None:
    async with running("tcp:127.0.0.1:0") as (transports, _):
        for _ in range(20):
            one = await phone(transports)
            one.send(data)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            one.close()
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while len(transports.connections):
                await asyncio.sleep(0.001)


async def test_watchers_are_told_once_and_only_those_who_still_watch() -> None:
    async with running("tcp:127.0.0.1:0") as (transports, recorder):
        one = await phone(transports)
        one.send(options())
        _, flow = await recorder.message()
        told: list[str] = []
        flow.watch(lambda flow, reason: told.append(f"first {reason}"))
        second = lambda flow, reason: told.append("second")  # noqa: E731
        flow.watch(second)
        flow.unwatch(second)
        flow.unwatch(second)
        flow.close("reason")
        assert told == [], "never within the call"
        flow.close("again")
        flow.watch(lambda flow, reason: told.append(f"late {reason}"))
        await recorder.close_of(flow)
        assert told == ["first reason", "late reason"]
        one.close()


async def test_half_close_is_a_close() -> None:
    async with running("tcp:127.0.0.1:0") as (transports, recorder):
        recorder.reply = lambda raw, flow: flow.send(raw)
        one = await phone(transports)
        one.send(options())
        one.shutdown(socket.SHUT_WR)
        assert await read(one) == options()
        assert await read(one) == b""
        one.close()


async def test_too_many_connections_are_refused() -> None:
    bounds = {"connections": 3, "connections_per_address": 2}
    async with running("tcp:127.0.0.1:0", limits=bounds) as (transports, recorder):
        phones = [await phone(transports) for _ in range(4)]
        for one in phones[:2]:
            one.send(options())
        await recorder.message(2)
        assert await read(phones[2]) == b""
        assert await read(phones[3]) == b""
        assert transports.counts()["connections_refused"] == 2
        phones[0].close()
        await recorder.close_of(recorder.messages[0][1])
        again = await phone(transports)
        again.send(options(9))
        await recorder.message(3)
        for one in [*phones, again]:
            one.close()


async def test_connections_of_ours() -> None:
    async with running("tcp:127.0.0.1:0") as (far, server), running("tcp:127.0.0.1:0") as (near, client):
        server.reply = lambda raw, flow: flow.send(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n")
        port = far.listeners[0].port
        flow = near.flow_to("tcp", "127.0.0.1", port)
        flow.send(options(1))
        flow.send(options(2))
        assert near.flow_to("tcp", "127.0.0.1", port) is flow
        await client.message(2)
        assert [raw for raw, _ in server.messages] == [options(1), options(2)]
        opened = server.messages[0][1]
        assert far.flow_to("tcp", "127.0.0.1", opened.rport) is not opened, "found by serial only"
        opened.close("enough")
        assert await client.close_of(flow) == "closed by the peer"
        assert near.flow_to("tcp", "127.0.0.1", port) is not flow


async def test_a_refused_connection_closes_its_flow() -> None:
    async with running("tcp:127.0.0.1:0") as (transports, recorder):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        flow = transports.flow_to("tcp", "127.0.0.1", port)
        flow.send(options())
        assert "refused" in await recorder.close_of(flow)
        assert len(transports.connections) == 0


async def test_a_connect_without_answer_ends() -> None:
    async with running("tcp:127.0.0.1:0", connect_timeout=4) as (transports, recorder):
        with socket.socket() as full:  # nobody accepts, and the backlog is full
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            others = []
            for _ in range(3):
                other = socket.socket()
                other.setblocking(False)
                other.connect_ex(full.getsockname())
                others.append(other)
            flow = transports.flow_to("tcp", "127.0.0.1", full.getsockname()[1])
            flow.send(options())
            await asyncio.sleep(0)
            transports.connections.deadlines.sweep(transports.connections.deadlines.now + 6)
            assert "no answer within 4 s" in await recorder.close_of(flow)
            for other in others:
                other.close()


async def test_internal_connections_are_told_apart() -> None:
    async with running("tcp:127.0.0.1:0", internal="tcp:127.0.0.1:0") as (transports, recorder):
        public, internal = transports.listeners
        assert (public.internal, internal.internal) == (False, True)
        flow = transports.flow_to("tcp", "127.0.0.1", internal.port, internal=True)
        assert flow.listener is internal
        flow.send(options())
        _, came = await recorder.message()
        assert came.listener is internal
        transports._acceptors[1]._allowed = lambda address: False
        other = await phone(transports, 1)
        assert await read(other) == b""
        other.close()


async def test_a_node_calls_another_from_its_internal_address() -> None:
    async with (
        running("tcp:127.0.0.1:0", internal="tcp:127.0.0.2:0") as (near, _),
        running("tcp:127.0.0.1:0", internal="tcp:127.0.0.3:0") as (far, server),
    ):
        flow = near.flow_to("tcp", "127.0.0.3", far.listeners[1].port, internal=True)
        flow.send(options())
        _, came = await server.message()
        assert came.received == b"127.0.0.2"


async def test_a_thousand_connections() -> None:
    async with running("tcp:127.0.0.1:0") as (transports, recorder):
        recorder.reply = lambda raw, flow: flow.send(raw)
        phones = [await phone(transports) for _ in range(1000)]
        for number, one in enumerate(phones):
            one.send(options(number))
        await recorder.message(1000)
        for number, one in enumerate(phones):
            assert await read(one) == options(number)
        assert transports.counts()["connections"] == 1000
        assert sum(len(bucket) for bucket in transports.connections.deadlines._buckets.values()) == 1000
        for one in phones:
            one.close()
        async with asyncio.timeout(5):
            while len(transports.connections):
                await asyncio.sleep(0.001)
        connections = transports.connections
        assert not (connections.by_serial or connections._addresses)
        assert not any(connections.deadlines._buckets.values())
