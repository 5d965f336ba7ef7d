"""Media through real sockets, in both forms of the forwarder."""

import contextlib
import select
import socket
import threading
import time

import pytest

from relay.flows import Drop, Options, What
from relay.latch import State
from tests.network.relay_rig import FORMS, Phone, phones, sides, until
from tests.unit.relay.packets import dtls, rtp, stun
from tests.unit.relay.reports import block, receiver, sender

HOSTS = [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.0.0.1", "::1"), ("::1", "127.0.0.1")]


@pytest.fixture(params=FORMS, ids=lambda form: form.__module__)
def forwarder(request: pytest.FixtureRequest):
    made = request.param(capacity=64)
    made.start()
    yield made
    made.close()


@pytest.fixture
def call(forwarder):
    """The forwarder, two phones that are told to it, and the side of each."""
    with joined(forwarder, "127.0.0.1", "127.0.0.1", Options()) as (caller, callee, a, b):
        yield forwarder, caller, callee, a, b


@contextlib.contextmanager
def joined(forwarder, first: str, second: str, options: Options):
    with phones(first, second) as (caller, callee), sides(forwarder, [first, second], options) as (a, b):
        forwarder.route(a.flow, [b.flow])
        forwarder.route(b.flow, [a.flow])
        forwarder.tell(a.flow, *caller.address)
        forwarder.tell(b.flow, *callee.address)
        yield caller, callee, a, b


@pytest.mark.parametrize(("first", "second"), HOSTS)
def test_both_ways_bit_exact(forwarder, first: str, second: str) -> None:
    with joined(forwarder, first, second, Options()) as (caller, callee, a, b):
        for number in range(20):
            data = rtp(number, payload=bytes([number]) * (number * 90))
            caller.send(data, a.address)
            assert callee.read() == data
            assert callee.came_from[:2] == b.address
            callee.send(rtp(number, ssrc=9), b.address)
            assert caller.read() == rtp(number, ssrc=9)
            assert caller.came_from[:2] == a.address
        counters = forwarder.read(a.flow)
        assert (counters.packets, counters.received, counters.lost, counters.sent) == (20, 20, 0, 20)
        assert counters.octets == sum(12 + n * 90 for n in range(20))
        assert counters.sent_octets == 20 * 172
        assert counters.dropped == (0,) * len(Drop)
        assert (counters.state, counters.source) == (State.LATCHED, caller.address)
        assert counters.destination == caller.address
        assert time.monotonic() - counters.heard < 5


def test_a_burst_keeps_its_order(call) -> None:
    forwarder, caller, callee, a, _ = call
    callee.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_000_000)
    for number in range(150):
        caller.send(rtp(number), a.address)
    assert [callee.read() for _ in range(150)] == [rtp(number) for number in range(150)]
    assert forwarder.read(a.flow).lost == 0


def test_the_source_behind_nat_is_learned_and_defended(call) -> None:
    forwarder, caller, callee, a, b = call
    with phones("127.0.0.1", "127.0.0.1") as (attacker, _):
        forwarder.tell(a.flow, "192.0.2.55", 7000, natted=True, via="127.0.0.1")
        callee.send(rtp(1, ssrc=9), b.address)
        assert until(lambda: forwarder.read(b.flow).dropped[Drop.NOWHERE] == 1)
        caller.send(rtp(1), a.address)
        assert callee.read() == rtp(1)
        attacker.send(rtp(2, payload=b"evil"), a.address)
        attacker.send(dtls(), a.address)
        callee.send(rtp(2, ssrc=9), b.address)
        assert caller.read() == rtp(2, ssrc=9)
        assert until(lambda: forwarder.read(a.flow).dropped[Drop.FOREIGN] == 2)
        assert attacker.drain() == []
        assert callee.drain() == []
        assert [(event.flow, event.what) for event in forwarder.events()] == [
            (b.flow, What.LATCHED),
            (a.flow, What.LATCHED),
        ]


def test_what_is_no_media(call) -> None:
    forwarder, caller, callee, a, _ = call
    caller.send(rtp(1), a.address)
    assert callee.read() == rtp(1)
    for data in (b"", b"\r\n\r\n", b"\x40" * 100, rtp()[:11], bytes(65_000)):
        caller.send(data, a.address)
    for data in (stun(), dtls(), b"\x10\x00\x00\x01ZRTP" + bytes(20), receiver(7)):
        caller.send(data, a.address)
        assert callee.read() == data
    dropped = forwarder.read(a.flow).dropped
    assert (dropped[Drop.MALFORMED], dropped[Drop.OVERSIZED]) == (4, 1)
    assert callee.drain() == []


def test_the_longest_packet_passes(call) -> None:
    forwarder, caller, callee, a, _ = call
    caller.send(rtp(1, payload=bytes(2036)), a.address)
    assert callee.read() == rtp(1, payload=bytes(2036))
    caller.send(rtp(1, payload=bytes(2037)), a.address)
    assert until(lambda: forwarder.read(a.flow).dropped[Drop.OVERSIZED] == 1)
    assert callee.drain() == []


def test_one_caller_many_branches(forwarder) -> None:
    hosts = ["127.0.0.1"] * 4
    with phones(*hosts) as (caller, *callees), sides(forwarder, hosts, Options()) as (a, *branches):
        forwarder.tell(a.flow, *caller.address)
        forwarder.route(a.flow, [branch.flow for branch in branches])
        for callee, branch in zip(callees, branches, strict=True):
            forwarder.tell(branch.flow, *callee.address)
        forwarder.route(branches[0].flow, [a.flow])
        caller.send(rtp(1), a.address)
        assert [callee.read() for callee in callees] == [rtp(1)] * 3
        callees[1].send(rtp(5, ssrc=2), branches[1].address)  # early media of a branch that is not heard
        assert until(lambda: forwarder.read(branches[1].flow).dropped[Drop.NOWHERE] == 1)
        callees[0].send(rtp(6, ssrc=1), branches[0].address)
        assert caller.read() == rtp(6, ssrc=1)
        forwarder.route(a.flow, [branches[2].flow])
        caller.send(rtp(2), a.address)
        assert callees[2].read() == rtp(2)
        assert callees[0].drain() == callees[1].drain() == []
        with pytest.raises(ValueError, match="8 targets"):
            forwarder.route(a.flow, [branches[0].flow] * 9)


def test_hold_and_resume(call) -> None:
    forwarder, caller, callee, a, b = call
    caller.send(rtp(1), a.address)
    assert callee.read() == rtp(1)
    forwarder.tell(a.flow, "0.0.0.0", caller.port)
    callee.send(rtp(1, ssrc=9), b.address)
    assert until(lambda: forwarder.read(b.flow).dropped[Drop.NOWHERE] == 1)
    forwarder.tell(a.flow, *caller.address)
    callee.send(rtp(2, ssrc=9), b.address)
    assert caller.read() == rtp(2, ssrc=9)


def test_a_phone_that_moves_is_followed(call) -> None:
    forwarder, caller, callee, a, b = call
    with phones("127.0.0.1") as (elsewhere,):
        caller.send(rtp(1), a.address)
        assert callee.read() == rtp(1)
        forwarder.tell(a.flow, *elsewhere.address)
        callee.send(rtp(1, ssrc=9), b.address)
        assert elsewhere.read() == rtp(1, ssrc=9)
        caller.send(rtp(2), a.address)  # late
        assert callee.read() == rtp(2)
        elsewhere.send(rtp(3), a.address)
        assert callee.read() == rtp(3)
        caller.send(rtp(4), a.address)
        assert until(lambda: forwarder.read(a.flow).dropped[Drop.FOREIGN] == 1)
        assert forwarder.read(a.flow).source == elsewhere.address


def test_rtcp_follows_rtp_and_shows_the_round_trip(forwarder) -> None:
    options = Options(rtcp=True)
    hosts = ["127.0.0.1", "127.0.0.1"]
    with (
        phones(*hosts, *hosts) as (caller, callee, caller_rtcp, callee_rtcp),
        sides(forwarder, hosts, Options()) as (a, b),
        sides(forwarder, hosts, options) as (c, d),
    ):
        for one, other in ((a, b), (b, a), (c, d), (d, c)):
            forwarder.route(one.flow, [other.flow])
        forwarder.beside(a.flow, c.flow)
        forwarder.tell(a.flow, *caller.address)
        forwarder.tell(b.flow, *callee.address)
        forwarder.tell(c.flow, "192.0.2.4", 5001, natted=True)
        forwarder.tell(d.flow, *callee_rtcp.address)
        caller_rtcp.send(sender(7, 0x77), c.address)  # a stranger as yet: on probation
        assert until(lambda: forwarder.read(c.flow).dropped[Drop.PROBATION] == 1)
        caller.send(rtp(1), a.address)
        assert callee.read() == rtp(1)
        caller_rtcp.send(sender(7, 0x5000), c.address)
        assert callee_rtcp.read() == sender(7, 0x5000)
        report = receiver(9, block(7, 64, 3, 80, 0x5000, 0.0))
        callee_rtcp.send(report, d.address)
        assert caller_rtcp.read() == report
        counters = forwarder.read(d.flow)
        assert (counters.reports, counters.reported_fraction, counters.reported_lost) == (1, 0.25, 3)
        assert (counters.reported_jitter, counters.round_trips) == (80, 1)
        assert 0 < counters.round_trip == counters.round_trip_mean < 2
        # what is encrypted is not read
        with sides(forwarder, hosts[:1], Options(rtcp=True, encrypted=True)) as (e,):
            forwarder.tell(e.flow, *callee_rtcp.address)
            callee_rtcp.send(report, e.address)
            assert until(lambda: forwarder.read(e.flow).packets == 1)
            assert forwarder.read(e.flow).reports == 0


def test_a_flood_is_cut_and_told(forwarder) -> None:
    options = Options(rate=1000, burst=1720)
    with joined(forwarder, "127.0.0.1", "127.0.0.1", options) as (caller, callee, a, _):
        for number in range(60):
            caller.send(rtp(number), a.address)
        assert until(lambda: sum(forwarder.read(a.flow).dropped) + forwarder.read(a.flow).packets == 60)
        counters = forwarder.read(a.flow)
        assert 10 <= counters.packets <= 14
        assert counters.dropped[Drop.FLOOD] == 60 - counters.packets
        assert until(lambda: len(callee.drain()) > 0)
        assert [event.what for event in forwarder.events()] == [What.LATCHED, What.FLOOD]


def test_silence_is_told_once_and_so_is_its_end(forwarder) -> None:
    with joined(forwarder, "127.0.0.1", "127.0.0.1", Options(idle=0.3)) as (caller, callee, a, b):
        caller.send(rtp(1), a.address)
        assert callee.read() == rtp(1)
        seen = []
        assert select.select([forwarder.fileno()], [], [], 5)[0]
        assert until(lambda: seen.extend(forwarder.events()) or len(seen) >= 3)
        assert sorted((event.flow, event.what) for event in seen) == sorted(
            [(a.flow, What.LATCHED), (a.flow, What.IDLE), (b.flow, What.IDLE)]
        )
        caller.send(rtp(2), a.address)
        assert callee.read() == rtp(2)
        assert forwarder.events()[0][:2] == (a.flow, What.BACK)
        assert not select.select([forwarder.fileno()], [], [], 0)[0]


def test_a_flow_that_is_gone(call) -> None:
    forwarder, caller, callee, a, b = call
    caller.send(rtp(1), a.address)
    assert callee.read() == rtp(1)
    assert len(forwarder) == 2
    assert forwarder.remove(b.flow).sent == 1
    assert len(forwarder) == 1
    for use in (forwarder.read, forwarder.remove):
        with pytest.raises(KeyError):
            use(b.flow)
    with pytest.raises(KeyError):
        forwarder.tell(b.flow, "127.0.0.1", 5)
    caller.send(rtp(2), a.address)
    assert until(lambda: forwarder.read(a.flow).dropped[Drop.NOWHERE] == 1)
    # a new flow in the same place is not reached by the old number
    again = forwarder.add(b.socket.fileno(), Options())
    assert again != b.flow
    forwarder.tell(again, *callee.address)
    caller.send(rtp(3), a.address)
    assert until(lambda: forwarder.read(a.flow).dropped[Drop.NOWHERE] == 2)
    assert forwarder.remove(again).packets == 0


def test_the_table_is_bounded(forwarder) -> None:
    with sides(forwarder, ["127.0.0.1"] * 64, Options()) as made:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as more, pytest.raises(OSError, match="full"):
            forwarder.add(more.fileno(), Options())
        assert len(forwarder) == 64
        forwarder.remove(made[0].flow)
        made[0].flow = forwarder.add(made[0].socket.fileno(), Options())
    assert len(forwarder) == 0


def test_nonsense_addresses_are_refused(call) -> None:
    forwarder, _, _, a, _ = call
    with pytest.raises(ValueError, match="example"):
        forwarder.tell(a.flow, "example.com", 5000)


def test_restored_from_another_node(call) -> None:
    forwarder, caller, callee, a, b = call
    forwarder.tell(a.flow, "192.0.2.7", 7000, natted=True)
    forwarder.restore(a.flow, *caller.address)
    callee.send(rtp(1), b.address)
    assert caller.read() == rtp(1)


def test_commands_and_media_at_the_same_time(call) -> None:
    forwarder, caller, callee, a, _ = call
    callee.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
    stop = threading.Event()

    def command() -> None:
        while not stop.is_set():
            with sides(forwarder, ["127.0.0.1"] * 4, Options()) as made:
                for side in made:
                    forwarder.route(side.flow, [made[0].flow])
                    forwarder.read(side.flow)
            forwarder.events()

    threads = [threading.Thread(target=command) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1000):
        caller.send(rtp(number), a.address)
        assert callee.read() == rtp(number)
    stop.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert forwarder.read(a.flow).lost == 0
    assert len(forwarder) == 2


def test_closing_twice_and_without_start() -> None:
    for form in FORMS:
        made = form()
        made.close()
        made.close()


def test_phones_rig() -> None:
    phone = Phone()
    assert phone.read(0) is None
    phone.close()
