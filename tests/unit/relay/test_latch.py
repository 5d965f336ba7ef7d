"""Whom a media port listens to: every script of `latch_vectors` through each form of the latch."""

import random

import pytest

from relay.latch import TABLE, Latch, Seen, State, Verdict
from relay.packet import Kind
from tests.unit.relay.latch_vectors import VECTORS, Vector

try:
    from relay._forward import NativeLatch
except ImportError:
    NativeLatch = None
FORMS = [Latch] + ([NativeLatch] if NativeLatch else [])


def play(latch, vector: Vector) -> None:
    for number, step in enumerate(vector.steps):
        said = f"step {number}: {step}"
        match step:
            case ("tell", now, where, options):
                latch.tell(where.host, where.port, float(now), **options)
            case ("follow", now, host):
                latch.follow(host, float(now))
            case ("packet", now, source, kind, ssrc, sequence, verdict):
                got = latch.judge(source.host, source.port, kind, ssrc, sequence, float(now))
                assert Verdict(got).name == verdict.name, said
            case ("sends", where):
                assert latch.destination == where, said


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", VECTORS)
def test_vector(form, name: str) -> None:
    vector = VECTORS[name]
    play(form(**vector.options), vector)


@pytest.mark.parametrize("form", FORMS)
def test_a_restored_source_continues(form) -> None:
    latch = form()
    latch.tell("192.168.1.5", 7000, 0.0, natted=True)
    latch.restore("203.0.113.1", 40000, 1.0)
    assert latch.destination == ("203.0.113.1", 40000)
    assert latch.judge("203.0.113.1", 40000, Kind.RTP, 7, 4711, 1.5) == Verdict.PASS
    assert latch.judge("203.0.113.9", 40000, Kind.RTP, 9, 1, 1.6) == Verdict.DROP_FOREIGN


def test_the_table_is_whole() -> None:
    assert len(TABLE) == len(State)
    assert {len(row) for row in TABLE} == {len(Seen)}
    # what is foreign never passes, and nothing but media latches
    for row in TABLE:
        assert row[Seen.FOREIGN] == (Verdict.DROP_FOREIGN, Verdict.DROP_FOREIGN)
        assert row[Seen.UNPROVEN][0] >= Verdict.DROP_FOREIGN
        assert all(weak != Verdict.LATCH for _, weak in row)


@pytest.mark.skipif(NativeLatch is None, reason="not compiled")
@pytest.mark.parametrize("seed", range(40))
def test_both_forms_agree_on_random_scripts(seed: int) -> None:
    chance = random.Random(seed)
    options = {"rtcp": seed % 5 == 3, "raw": seed % 5 == 4}
    first, second = Latch(**options), NativeLatch(**options)
    hosts = ["192.0.2.1", "192.0.2.2", "198.51.100.3", "0.0.0.0"]
    now, sequences = 0.0, {}
    for number in range(400):
        now += chance.choice((0.0, 0.02, 0.02, 0.3, 1.0, 6.0))
        host, port = chance.choice(hosts[: 3 + (number % 7 == 0)]), chance.choice((4000, 4002))
        if chance.random() < 0.06:
            said = {"via": chance.choice(("", *hosts[:3]))}
            said |= {name: chance.random() < 0.3 for name in ("natted", "moved", "asymmetric")}
            first.tell(host, port, now, **said)
            second.tell(host, port, now, **said)
        elif chance.random() < 0.02 and host != "0.0.0.0":
            first.follow(host, now)
            second.follow(host, now)
        else:
            ssrc = chance.choice((7, 7, 8))
            sequence = sequences.get(ssrc, 65500) + chance.choice((1, 1, 1, 2, -3, 200, 9000)) & 0xFFFF
            sequences[ssrc] = sequence
            kind = chance.choice((Kind.RTP,) * 8 + tuple(Kind))
            packet = (host, port, kind, ssrc, sequence, now)
            assert first.judge(*packet) == second.judge(*packet), (number, packet)
        assert first.destination == second.destination, number
        assert (first.state, first.source, first.moves) == (second.state, second.source, second.moves)
