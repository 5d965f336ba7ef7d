"""Loss and jitter of a stream from its headers, in both forms."""

import random

import pytest

from relay.stream import Stream

try:
    from relay._forward import NativeStream
except ImportError:
    NativeStream = None
FORMS = [Stream] + ([NativeStream] if NativeStream else [])


@pytest.fixture(params=FORMS)
def stream(request: pytest.FixtureRequest):
    return request.param()


def play(stream, sequences, ssrc: int = 7, at: float = 0.0) -> None:
    for number, sequence in enumerate(sequences):
        stream.arrived(ssrc, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, at + number * 0.02)


def test_nothing_yet(stream) -> None:
    assert (stream.received, stream.expected, stream.jitter) == (0, 0, 0)


def test_a_whole_stream_over_the_wrap(stream) -> None:
    play(stream, range(65000, 66000))
    assert (stream.received, stream.expected) == (1000, 1000)
    assert stream.jitter < 1e-6


def test_loss(stream) -> None:
    play(stream, [n for n in range(65400, 65700) if n % 10])
    assert (stream.received, stream.expected) == (270, 299)


def test_order_and_copies(stream) -> None:
    play(stream, [1, 3, 2, 4, 4, 5])
    assert (stream.received, stream.expected) == (6, 5)


def test_a_new_ssrc_begins_anew(stream) -> None:
    play(stream, [1, 2, 4])
    play(stream, [60000, 60001], ssrc=8)
    assert (stream.received, stream.expected) == (5, 6)


def test_a_jump_counts_once_it_lasts(stream) -> None:
    play(stream, [1, 2, 30000, 3, 4])  # a single odd packet
    assert (stream.received, stream.expected) == (4, 4)
    play(stream, [40000, 40001, 40002])
    assert (stream.received, stream.expected) == (6, 6)


def test_jitter_of_a_known_delay(stream) -> None:
    # every second packet is 10 ms late: |D| is 10 ms each time
    for n in range(400):
        stream.arrived(7, n, n * 160, n * 0.02 + (0.01 if n % 2 else 0.0))
    assert stream.jitter == pytest.approx(0.01, rel=0.01)


def test_packets_of_one_frame_do_not_count_as_jitter(stream) -> None:
    for n in range(300):
        stream.arrived(7, n, n // 3 * 1600, n // 3 * 0.2 + n % 3 * 0.001)
    assert stream.jitter < 1e-6


def test_a_clock_that_jumps_does_not_spoil_the_jitter(stream) -> None:
    play(stream, range(10))
    stream.arrived(7, 10, 3_000_000_000, 0.2)
    stream.arrived(7, 11, 3_000_000_160, 0.22)
    assert stream.jitter < 0.001


@pytest.mark.skipif(NativeStream is None, reason="not compiled")
@pytest.mark.parametrize("seed", range(10))
def test_both_forms_agree(seed: int) -> None:
    chance = random.Random(seed)
    first, second = Stream(48000), NativeStream(48000)
    sequence, timestamp, now, ssrc = 65000, 0xFFFFF000, 0.0, 1
    for _ in range(2000):
        now += chance.random() * 0.05
        sequence += chance.choice((1, 1, 1, 1, 2, 0, -1, -5, 200, 5000))
        timestamp += chance.choice((960, 960, 0, 10_000_000))
        ssrc = ssrc if chance.random() < 0.99 else chance.randrange(1 << 32)
        packet = (ssrc, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, now)
        first.arrived(*packet)
        second.arrived(*packet)
        assert (first.received, first.expected) == (second.received, second.expected)
        assert first.jitter == pytest.approx(second.jitter)
