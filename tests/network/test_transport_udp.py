"""UDP through real sockets: batches, flows, keep-alives, STUN, and the twin."""

import asyncio
import errno
import socket

import pytest
import uvloop

from node.transport import stun, udp
from node.transport.address import parse_listen
from node.transport.faults import Faults
from node.transport.outbox import Outbox
from node.transport.udp import Udp
from node.transport.udp_python import Datagrams as PythonDatagrams
from tests.network.transport_peer import Recorder, options, read, running, udp_phone

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")
TWINS = [PythonDatagrams] + ([udp.Datagrams] if udp.COMPILED else [])
HOSTS = ["127.0.0.1", "::1"]


@pytest.fixture
def event_loop_policy():
    return uvloop.EventLoopPolicy()


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


@pytest.fixture(params=TWINS, ids=lambda twin: twin.__module__)
def twin(request: pytest.FixtureRequest):
    return request.param


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def port(twin, host):
    """One UDP listener of each twin and family, with its recorder."""
    loop = asyncio.get_running_loop()
    recorder = Recorder()
    address = parse_listen(f"udp:{bracketed(host)}:0")
    opened = Udp(loop, address, recorder, Outbox(loop), Faults(), datagrams=twin, flow_limit=50)
    opened.start(opened.listener)
    yield opened, recorder
    opened.close()


async def test_echo(port, host) -> None:
    opened, recorder = port
    recorder.reply = lambda raw, flow: flow.send(raw[::-1])
    phone = udp_phone(host)
    phone.connect((host, opened.listener.port))
    for size in (1, 100, 1500, 60_000):
        phone.send(b"x" * size)
        assert await read(phone) == b"x" * size
    _, flow = await recorder.message()
    assert (flow.transport, flow.reliable, flow.serial) == ("udp", False, 0)
    assert (flow.received, flow.rport) == (host.encode(), phone.getsockname()[1])
    assert opened.flow_to(host, flow.rport) is flow
    assert {id(one) for _, one in recorder.messages} == {id(flow)}
    phone.close()


async def test_a_burst_keeps_its_order(port, host) -> None:
    opened, recorder = port
    recorder.reply = lambda raw, flow: (flow.send(raw + b"a"), flow.send(raw + b"b"))
    phone = udp_phone(host)
    phone.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
    phone.connect((host, opened.listener.port))
    for number in range(200):
        phone.send(b"n%03d" % number)
    got = [await read(phone) for _ in range(400)]
    assert got == [b"n%03d%b" % (number, end) for number in range(200) for end in (b"a", b"b")]
    assert opened.kernel_drops == 0
    phone.close()


async def test_sent_outside_a_batch(port, host) -> None:
    opened, _ = port
    phone = udp_phone(host)
    flow = opened.flow_to(host, phone.getsockname()[1])
    flow.send(b"one")
    flow.send(b"two")
    assert opened.queue, "collected until the iteration ends"
    assert [await read(phone), await read(phone)] == [b"one", b"two"]
    phone.close()


async def test_keep_alives_and_stun_stay_below(port, host) -> None:
    opened, recorder = port
    phone = udp_phone(host)
    phone.connect((host, opened.listener.port))
    for noise in (b"", b"\r\n\r\n", b"\r\n", b"\0\0\0\0", b"\r\n\r\n\0"):
        phone.send(noise)
    transaction = b"0123456789ab"
    phone.send(stun.message(stun.BINDING_REQUEST, transaction, b"", fingerprint=True))
    answer = await read(phone)
    found = stun.attributes(answer)
    expected = stun.xor_address(host, phone.getsockname()[1], transaction)
    assert found is not None
    assert found[stun.XOR_MAPPED_ADDRESS] == expected
    phone.send(b"\x00\x01garbage")
    phone.send(b"\r\nOPTIONS")
    await recorder.message(2)
    assert [raw for raw, _ in recorder.messages] == [b"\x00\x01garbage", b"\r\nOPTIONS"]
    assert (opened.keep_alives, opened.stun_requests) == (5, 1)
    phone.close()


async def test_a_failing_receiver_stops_nothing(port, host, caplog) -> None:
    opened, recorder = port

    def reply(raw: bytes, flow) -> None:
        if raw == b"bad":
            raise RuntimeError("as tested")
        flow.send(raw)

    recorder.reply = reply
    phone = udp_phone(host)
    phone.connect((host, opened.listener.port))
    for raw in (b"bad", b"good", b"bad", b"bad", b"good"):
        phone.send(raw)
    assert [await read(phone), await read(phone)] == [b"good", b"good"]
    assert opened._faults.count == 3
    assert len(caplog.records) == 1, "logged once a second"
    phone.close()


async def test_flows_are_bounded_and_those_in_use_stay(port, host) -> None:
    opened, _ = port
    kept = opened.flow_to(host, 9)
    for number in range(1, 2000):
        opened.flow_to(host, 10 + number)
        if number % 20 == 0:
            assert opened.flow_to(host, 9) is kept
    assert len(opened._flows) + len(opened._older) <= 100


async def test_what_cannot_leave_is_counted(port, host) -> None:
    opened, _ = port
    phone = udp_phone(host)
    flow = opened.flow_to(host, phone.getsockname()[1])
    flow.send(b"before")
    flow.send(b"x" * 70_000)
    flow.send(b"after")
    assert [await read(phone), await read(phone)] == [b"before", b"after"]
    assert opened.dropped == 1
    nobody = udp_phone(host)
    closed_port = nobody.getsockname()[1]
    nobody.close()
    opened.flow_to(host, closed_port).send(b"an ICMP error comes back")
    await asyncio.sleep(0)
    flow.send(b"still alive")
    assert await read(phone) == b"still alive"
    phone.close()


async def test_a_full_kernel_queues_within_a_bound(host) -> None:
    class Full(PythonDatagrams):
        full = True

        def send(self, queue, start):
            return -errno.EAGAIN if self.full else super().send(queue, start)

    loop = asyncio.get_running_loop()
    address = parse_listen(f"udp:{bracketed(host)}:0")
    opened = Udp(loop, address, Recorder(), Outbox(loop), Faults(), datagrams=Full, queue_limit=5)
    opened.start(opened.listener)
    phone = udp_phone(host)
    flow = opened.flow_to(host, phone.getsockname()[1])
    for number in range(8):
        flow.send(b"%d" % number)
    assert (len(opened.queue), opened.dropped) == (5, 3)
    opened.datagrams.full = False  # type: ignore[attr-defined]
    assert [await read(phone) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    flow.send(b"again")
    assert await read(phone) == b"again"
    opened.close()
    flow.send(b"never raises")
    opened.flush()
    phone.close()


def test_twins_agree_on_addresses(host) -> None:
    if not udp.COMPILED:
        pytest.skip("not compiled")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        twins = [twin(sock) for twin in TWINS]
        for one in twins:
            assert one.unpack(one.pack(host, 5060)) == (host, 5060)
            with pytest.raises(ValueError):
                one.pack("127.0.0.1" if host == "::1" else "::1", 5060)
            with pytest.raises(ValueError):
                one.pack("localhost", 5060)
            assert one.receive() == []
            assert one.send([], 0) == 0
            assert one.send([(b"x" * 70_000, one.pack(host, 9))], 0) == -errno.EMSGSIZE
        if host == "::1":
            assert twins[0].unpack(twins[0].pack("fe80::1%1", 5)) == twins[1].unpack(
                twins[1].pack("fe80::1%1", 5)
            )


async def test_listeners_are_chosen_by_family_port_and_acquaintance() -> None:
    async with running("udp:127.0.0.1:0", "udp:127.0.0.2:0", "udp:[::1]:0") as (transports, recorder):
        first, second, third = transports.listeners
        assert transports.flow_to("udp", "127.0.0.9", 9).listener is first
        assert transports.flow_to("udp", "::1", 9).listener is third
        assert transports.udp_flow(second.port, "127.0.0.9", 9).listener is second
        assert transports.udp_flow(third.port, "127.0.0.9", 9).listener is first
        phone = udp_phone()
        phone.connect(("127.0.0.2", second.port))
        phone.send(options())
        _, flow = await recorder.message()
        assert transports.flow_to("udp", "127.0.0.1", phone.getsockname()[1]) is flow
        phone.close()
        with pytest.raises(LookupError):
            transports.flow_to("udp", "example.com", 9)
    async with running("udp:127.0.0.1:0") as (transports, _):
        with pytest.raises(LookupError):
            transports.flow_to("udp", "::1", 9)
        with pytest.raises(LookupError):
            transports.flow_to("tcp", "127.0.0.1", 9)


async def test_a_taken_port_is_named() -> None:
    async with running("udp:127.0.0.1:0") as (transports, _):
        taken = f"udp:127.0.0.1:{transports.listeners[0].port}"
        with pytest.raises(OSError, match=taken):
            async with running("tcp:127.0.0.1:0", taken):
                pass
    with pytest.raises(ValueError, match="certificate"):
        async with running("tls:127.0.0.1:0"):
            pass


@pytest.mark.parametrize("port", [0, -1, 65536, 99999])
async def test_a_port_that_is_none_leads_nowhere(port: int) -> None:
    async with running("udp:127.0.0.1:0", "tcp:127.0.0.1:0") as (transports, _):
        for transport in ("udp", "tcp"):
            with pytest.raises(LookupError):
                transports.flow_to(transport, "127.0.0.1", port)
