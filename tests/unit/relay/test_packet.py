"""What a datagram on a media port is, in both forms."""

import random

import pytest

from relay.packet import Kind, RtpHeader, kind_of, rtp_header, ssrc_of
from tests.unit.relay.packets import KINDS, RTCP_RR, rtp, stun

try:
    from relay._forward import kind_of as native_kind_of
except ImportError:
    native_kind_of = None
FORMS = [kind_of] + ([native_kind_of] if native_kind_of else [])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", range(len(KINDS)))
def test_kind(form, number: int) -> None:
    data, kind = KINDS[number]
    assert Kind(form(data)) == kind


def test_header() -> None:
    assert rtp_header(rtp(65535, 0xDEADBEEF, 0xFFFFFFFE, kind=128 + 96)) == RtpHeader(
        0xDEADBEEF, 65535, 0xFFFFFFFE, 96
    )
    assert ssrc_of(Kind.RTP, rtp(ssrc=5)) == 5
    assert ssrc_of(Kind.RTCP, RTCP_RR) == 7
    assert ssrc_of(Kind.STUN, stun()) == 0


@pytest.mark.skipif(native_kind_of is None, reason="not compiled")
def test_both_forms_agree_on_mutations() -> None:
    chance = random.Random(5)
    for _ in range(5000):
        data = bytearray(chance.choice(KINDS)[0])
        for _ in range(chance.randrange(4)):
            if data:
                data[chance.randrange(min(len(data), 20))] = chance.randrange(256)
        data = bytes(data[: chance.randrange(len(data) + 1)] if chance.random() < 0.3 else data)
        assert kind_of(data) == native_kind_of(data), data.hex()
