"""Media ports are drawn by chance, come in pairs, rest, and run out with an error."""

import random
import socket

import pytest

from relay.ports import PortPool, PortsExhausted
from relay.sockets import open_media, open_socket


def test_pairs_are_even_and_drawn_once() -> None:
    pool = PortPool(10000, 10019)
    drawn = [pool.pair(0.0) for _ in range(10)]
    assert sorted(drawn) == list(range(10000, 10020, 2))
    assert pool.used == pool.size == 20
    with pytest.raises(PortsExhausted):
        pool.pair(0.0)
    with pytest.raises(PortsExhausted):
        pool.single(0.0)


def test_drawn_by_chance() -> None:
    orders = {tuple(PortPool(10000, 10039).pair(0.0) for _ in range(1)) for _ in range(60)}
    assert len(orders) > 5


def test_singles_use_both_halves() -> None:
    pool = PortPool(10000, 10003)
    assert sorted(pool.single(0.0) for _ in range(4)) == [10000, 10001, 10002, 10003]


def test_a_port_rests_before_it_is_used_again() -> None:
    pool = PortPool(10000, 10001, rest=30)
    assert pool.pair(0.0) == 10000
    pool.release(10000, 5.0)
    pool.release(10001, 5.0)
    assert (pool.used, pool.resting) == (0, 2)
    with pytest.raises(PortsExhausted):
        pool.single(34.9)
    assert pool.pair(35.0) == 10000
    assert pool.resting == 0


def test_two_singles_become_a_pair_again() -> None:
    pool = PortPool(10000, 10001, rest=1)
    ports = [pool.single(0.0), pool.single(0.0)]
    pool.release(ports[0], 0.0)
    with pytest.raises(PortsExhausted):
        pool.pair(10.0)
    pool.release(ports[1], 10.0)
    assert pool.pair(11.0) == 10000


def test_a_named_port_can_be_taken() -> None:
    pool = PortPool(10000, 10003)
    pool.take(10001, 0.0)
    with pytest.raises(PortsExhausted):
        pool.take(10001, 0.0)
    with pytest.raises(PortsExhausted):
        pool.take(9998, 0.0)
    assert pool.pair(0.0) == 10002
    pool.take(10000, 0.0)


def test_a_port_is_given_back_once() -> None:
    pool = PortPool(10000, 10003)
    port = pool.single(0.0)
    pool.release(port, 0.0)
    with pytest.raises(KeyError):
        pool.release(port, 0.0)


def test_an_odd_first_port_is_left_out_and_an_empty_range_refused() -> None:
    assert PortPool(10001, 10003).pair(0.0) == 10002
    for first, last in ((10000, 10000), (10001, 10002), (0, 1), (65535, 65536)):
        with pytest.raises(ValueError, match="no pair"):
            PortPool(first, last)


def test_nothing_is_lost_by_chance() -> None:
    chance = random.Random(3)
    pool = PortPool(10000, 10099, rest=2, chance=chance)
    held: list[int] = []
    for step in range(5000):
        now = step * 0.01
        try:
            if chance.random() < 0.5:
                first = pool.pair(now)
                assert first % 2 == 0
                held += [first, first + 1]
            else:
                held.append(pool.single(now))
        except PortsExhausted:
            pass
        assert len(set(held)) == len(held) == pool.used
        while held and chance.random() < 0.6:
            pool.release(held.pop(chance.randrange(len(held))), now)
    for port in held:
        pool.release(port, 100.0)
    assert sorted(pool.pair(200.0) for _ in range(50)) == list(range(10000, 10100, 2))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_sockets_of_a_pair(host: str) -> None:
    rtp, rtcp = open_media(host, PortPool(20000, 40000), 0.0, mux=False, dscp=34)
    with rtp, rtcp:
        assert rtp.getsockname()[1] % 2 == 0
        assert rtcp.getsockname()[1] == rtp.getsockname()[1] + 1
        if host == "::1":
            assert rtp.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 34 << 2
        else:
            assert rtp.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 34 << 2


def test_a_port_that_another_holds_is_passed_over() -> None:
    with open_socket("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        first = port & ~1
        pool = PortPool(first, first + 1, rest=30)
        with pytest.raises(PortsExhausted):
            open_media("127.0.0.1", pool, 0.0, mux=False)
        assert (pool.used, pool.resting) == (0, 2)
