"""Relay sessions: from the offer to the end, forks, statistics, takeover, and nothing left."""

import asyncio
import os
import time

import pytest

from relay.address import Address
from relay.events import SessionIdle, SourceLearned, StreamFloods
from relay.flows import Options
from relay.pools import Pools
from relay.ports import PortsExhausted
from relay.relay import Relay
from relay.side import Told
from tests.network.relay_rig import Phone, phones
from tests.unit.relay.packets import rtp
from tests.unit.relay.reports import block, receiver, sender


class Rig:
    def __init__(
        self, hosts: tuple[str, ...] = ("127.0.0.1", "::1"), first: int = 21000, last: int = 29999
    ) -> None:
        self.events: list[object] = []
        self.pools = Pools(hosts, first, last, rest=0.2)
        self.relay = Relay(self.pools, self.events.append, capacity=512)
        self.relay.start()

    async def event(self, kind: type) -> object:
        async with asyncio.timeout(5):
            while not any(isinstance(event, kind) for event in self.events):
                await asyncio.sleep(0.005)
        return next(event for event in self.events if isinstance(event, kind))


@pytest.fixture
async def rig():
    made = Rig()
    yield made
    made.relay.close()
    assert made.pools.used == 0


def told(phone: Phone, **said) -> Told:
    where = Address(phone.host, phone.port)
    return Told(where, Address(phone.host, phone.port + 1), **said)


async def heard(phone: Phone) -> bytes | None:
    return await asyncio.to_thread(phone.read)


async def test_a_call_from_offer_to_end(rig: Rig) -> None:
    with phones("127.0.0.1", "::1") as (caller, callee):
        session = rig.relay.open("call 1")
        number = session.add_line(4, time.monotonic(), mux=True)
        line = session.line(number)
        line.near.tell(told(caller))
        side = session.add_side(number, "bob", 6, time.monotonic(), mux=True)
        side.tell(told(callee))
        assert (line.near.local.family, side.local.family) == (4, 6)
        callee.send(rtp(1, ssrc=9), side.local)
        assert await heard(caller) == rtp(1, ssrc=9)
        assert caller.came_from == line.near.local
        caller.send(rtp(1), line.near.local)
        assert await heard(callee) == rtp(1)
        learned = await rig.event(SourceLearned)
        assert learned == SourceLearned("call 1", 0, "bob", Address(callee.host, callee.port))
        # reports on the same port
        caller.send(sender(7, 0x5000), line.near.local)
        await heard(callee)
        callee.send(receiver(9, block(7, 64, 1, 80, 0x5000, 0)), side.local)
        await heard(caller)
        caller_heard, callee_heard = session.statistics()[0]
        assert (caller_heard.packets, caller_heard.loss, caller_heard.jitter) == (2, 0.25, 0.01)
        assert 0 < caller_heard.round_trip < 1
        assert 1 < caller_heard.mean_opinion_score < callee_heard.mean_opinion_score
        assert callee_heard.loss == 0
        rig.relay.end("call 1")
        assert rig.pools.used == 0
        caller.send(rtp(2), line.near.local)
        assert callee.read(0.05) is None
        with pytest.raises(KeyError):
            rig.relay.end("call 1")


async def test_a_reinvite_keeps_our_ports(rig: Rig) -> None:
    # rtpengine 1354, 1416: media left from another port after a re-INVITE, and was refused
    with phones("127.0.0.1", "127.0.0.1", "127.0.0.1") as (caller, callee, music):
        session = rig.relay.open("call")
        session.add_line(4, time.monotonic())
        line = session.line(0)
        line.near.tell(told(caller))
        side = session.add_side(0, "bob", 4, time.monotonic())
        before = (line.near.local, line.near.rtcp_port, side.local, side.rtcp_port)
        assert before[0].port % 2 == 0
        assert before[1] == before[0].port + 1
        side.tell(told(callee))
        for phone in (callee, music):
            side.tell(told(phone))
            caller.send(rtp(1), line.near.local)
            assert await heard(phone) == rtp(1)
            assert phone.came_from == before[2]
            phone.send(rtp(1, ssrc=phone.port), side.local)
            assert await heard(caller) == rtp(1, ssrc=phone.port)
            assert caller.came_from == before[0]
        assert (line.near.local, line.near.rtcp_port, side.local, side.rtcp_port) == before


async def test_early_media_of_several_branches(rig: Rig) -> None:
    with phones(*["127.0.0.1"] * 3) as (caller, first, second):
        session = rig.relay.open("call")
        session.add_line(4, time.monotonic(), mux=True)
        line = session.line(0)
        line.near.tell(told(caller))
        branches = {}
        for name, phone in (("one", first), ("two", second)):
            branches[name] = session.add_side(0, name, 4, time.monotonic(), mux=True)
            branches[name].tell(told(phone))
        second.send(rtp(1, ssrc=2), branches["two"].local)
        first.send(rtp(1, ssrc=1), branches["one"].local)
        assert await heard(caller) == rtp(1, ssrc=1)
        line.hear("two")
        first.send(rtp(2, ssrc=1), branches["one"].local)
        second.send(rtp(2, ssrc=2), branches["two"].local)
        assert await heard(caller) == rtp(2, ssrc=2)
        caller.send(rtp(1), line.near.local)
        assert [await heard(first), await heard(second)] == [rtp(1), rtp(1)]
        line.keep("one", time.monotonic())
        assert list(line.far) == ["one"]
        first.send(rtp(3, ssrc=1), branches["one"].local)
        assert await heard(caller) == rtp(3, ssrc=1)
        with pytest.raises(KeyError):
            line.hear("two")


async def test_lines_come_and_go(rig: Rig) -> None:
    session = rig.relay.open("call")
    for _ in range(16):
        session.add_line(4, time.monotonic())
    with pytest.raises(PortsExhausted, match="16"):
        session.add_line(4, time.monotonic())
    assert rig.pools.used == 32
    session.drop_line(3, time.monotonic())
    assert rig.pools.used == 30
    assert session.statistics()[3] is None
    with pytest.raises(KeyError):
        session.line(3)
    with pytest.raises(ValueError, match="call"):
        rig.relay.open("call")


async def test_ports_run_out_cleanly() -> None:
    rig = Rig(("127.0.0.1",), 29000, 29003)
    try:
        session = rig.relay.open("call")
        session.add_line(4, time.monotonic())
        session.add_side(0, "bob", 4, time.monotonic())
        with pytest.raises(PortsExhausted):
            session.add_side(0, "carol", 4, time.monotonic())
        with pytest.raises(PortsExhausted, match="IPv6"):
            session.add_side(0, "carol", 6, time.monotonic())
        assert list(session.line(0).far) == ["bob"]
        rig.relay.end("call")
        assert rig.pools.used == 0
        again = rig.relay.open("call")
        with pytest.raises(PortsExhausted):  # they rest
            again.add_line(4, time.monotonic())
        again.add_line(4, time.monotonic() + 1)
    finally:
        rig.relay.close()


async def test_silence_and_flood_are_told(rig: Rig) -> None:
    options = Options(idle=0.3, rate=500, burst=400)
    with phones("127.0.0.1", "127.0.0.1") as (caller, callee):
        session = rig.relay.open("call")
        session.add_line(4, time.monotonic(), options, mux=True)
        session.line(0).near.tell(told(caller))
        session.add_side(0, "bob", 4, time.monotonic(), mux=True).tell(told(callee))
        for number in range(20):
            caller.send(rtp(number), session.line(0).near.local)
        assert await rig.event(StreamFloods) == StreamFloods("call", 0, "")
        assert await rig.event(SessionIdle) == SessionIdle("call")


async def test_another_node_continues_from_the_record(rig: Rig) -> None:
    """The relay dies without a word; another one on the same addresses takes over."""
    with phones("127.0.0.1", "127.0.0.1", "127.0.0.1") as (caller, callee, stranger):
        session = rig.relay.open("call")
        session.add_line(4, time.monotonic(), Options(clock=48000), codec="opus")
        session.line(0).near.tell(
            Told(Address("192.0.2.5", 7000), Address("192.0.2.5", 7001), "127.0.0.1", True)
        )
        side = session.add_side(0, "bob", 4, time.monotonic())
        side.tell(told(callee))
        caller.send(rtp(1), session.line(0).near.local)
        assert await heard(callee) == rtp(1)
        await rig.event(SourceLearned)
        record = session.record()
        rig.relay.end("call")
        other = Rig()
        try:
            restored = other.relay.restore(record)
            assert restored.record() == record
            callee.send(rtp(5, ssrc=9), side.local)  # goes to the learned source, not to the SDP
            assert await heard(caller) == rtp(5, ssrc=9)
            stranger.send(rtp(9, ssrc=66), restored.line(0).near.local)
            caller.send(rtp(3), restored.line(0).near.local)
            assert await heard(callee) == rtp(3)
            with pytest.raises(ValueError, match="call"):
                other.relay.restore(record)
            other.relay.end("call")
            with pytest.raises(PortsExhausted):  # rests
                other.relay.restore(record)
            assert "call" not in other.relay.sessions
        finally:
            other.relay.close()
        assert other.pools.used == 0


async def test_nothing_is_left_of_many_calls(rig: Rig) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(60):
        session = rig.relay.open(f"call {number}")
        session.add_line(4, time.monotonic())
        session.add_side(0, "bob", 6, time.monotonic())
    assert rig.pools.used == 240
    for number in range(60):
        rig.relay.end(f"call {number}")
    assert (rig.pools.used, len(os.listdir("/proc/self/fd"))) == (0, before)
    assert rig.relay._shared.sides == {}
    assert len(rig.relay._forwarder) == 0
