"""What the STUN server says: to whom, what, and never more than it may."""

import random

import pytest

from relay.address import Address
from relay.stun.answer import Local, answer
from relay.stun.limit import SourceLimit
from relay.stun.message import (
    BINDING,
    Attribute,
    Class,
    address_value,
    attribute,
    decode,
    encode,
    read_address,
)
from tests.unit.relay.stun import vectors

V4, V6 = Address("192.0.2.1", 32853), Address("2001:db8::7", 1024)
LOCAL = Local(
    Address("198.51.100.1", 3478), Address("198.51.100.1", 3479),
    Address("198.51.100.2", 3478), Address("198.51.100.2", 3479),
)  # fmt: skip
T = vectors.TRANSACTION


def request(*attributes: bytes, sign: bool = False, transaction: bytes = T) -> bytes:
    return encode(Class.REQUEST, BINDING, transaction, b"".join(attributes), sign=sign)


def change(flags: int) -> bytes:
    return attribute(Attribute.CHANGE_REQUEST, bytes((0, 0, 0, flags)))


@pytest.mark.parametrize("source", [V4, V6])
@pytest.mark.parametrize("sign", [False, True])
def test_success(source: Address, sign: bool) -> None:
    got = answer(request(sign=sign), source, software=b"Clarion")
    message = decode(got.data)
    assert (message.kind, message.transaction, message.fingerprinted) == (Class.SUCCESS, T, sign)
    assert read_address(message.value(Attribute.XOR_MAPPED_ADDRESS), T) == source
    assert message.value(Attribute.SOFTWARE) is None  # would be longer than the smallest success
    assert len(got.data) == 24 + (8 if source is V4 else 20) + 8 * sign
    assert (got.origin, got.port) == (None, 0)


def test_software_where_there_is_room() -> None:
    long = request(attribute(Attribute.SOFTWARE, b"a client with a long name"))
    got = answer(long, V4, software=b"Clarion")
    assert decode(got.data).value(Attribute.SOFTWARE) == b"Clarion"
    assert len(got.data) <= len(long)
    assert decode(answer(request(), V4, software=b"Clarion", datagram=False).data).value(Attribute.SOFTWARE)


def test_credentials_and_ice_are_read_over() -> None:
    got = decode(answer(vectors.REQUEST, V4).data)
    assert (got.kind, got.fingerprinted) == (Class.SUCCESS, True)
    assert decode(answer(vectors.LONG_TERM, V4).data).kind == Class.SUCCESS


def test_unknown_attributes() -> None:
    got = answer(request(attribute(0x7F01, b"1234"), attribute(0x7F02, b""), attribute(0x8F03, b"")), V4)
    message = decode(got.data)
    assert message.kind == Class.ERROR
    assert message.value(Attribute.ERROR_CODE)[:4] == b"\0\0\4\x14"
    assert message.value(Attribute.UNKNOWN_ATTRIBUTES) == b"\x7f\x01\x7f\x02"


def test_one_unknown_attribute_without_a_value() -> None:
    got = answer(request(attribute(0x0030, b"")), V4)
    assert decode(got.data).value(Attribute.UNKNOWN_ATTRIBUTES)[:2] == b"\x00\x30"
    assert len(got.data) <= 44


def test_many_unknown_attributes_are_cut() -> None:
    data = request(*[attribute(0x4000 + n, b"") for n in range(60)])
    got = answer(data, V4)
    assert len(got.data) <= len(data)
    assert decode(got.data).value(Attribute.UNKNOWN_ATTRIBUTES)[:4] == b"\x40\x00\x40\x01"


@pytest.mark.parametrize(
    "data",
    [
        encode(Class.SUCCESS, BINDING, T, b""),
        encode(Class.ERROR, BINDING, T, b""),
        encode(Class.INDICATION, BINDING, T, b""),
        encode(Class.REQUEST, 3, T, b""),  # TURN Allocate
        vectors.RESPONSE_V4,
        vectors.REQUEST[:-1] + b"!",
        b"REGISTER sip:example.org SIP/2.0\r\n\r\n",
        b"",
        bytes(20)[:19],
        bytes(4000),
    ],
)
def test_silence(data: bytes) -> None:
    assert answer(data, V4) is None


def test_an_answer_is_never_answered() -> None:
    for data in (request(), request(attribute(0x7F01, b"1234"))):
        assert answer(answer(data, V4).data, V4) is None


def test_no_answer_is_longer_than_it_may_be() -> None:
    chance = random.Random(4)
    for _ in range(3000):
        parts = [
            attribute(chance.choice((0x8022, 0x0006, 0x7F00, 0x4001, 0x0003)), bytes(chance.randrange(12)))
            for _ in range(chance.randrange(6))
        ]
        sign = chance.random() < 0.5
        data = request(*parts, sign=sign)
        source = chance.choice((V4, V6))
        got = answer(data, source, software=b"Clarion" * chance.randrange(19))
        if got is not None:
            own = 44 if source is V6 or decode(got.data).kind == Class.ERROR else 32
            assert len(got.data) <= max(len(data), own + 8 * sign)


def test_classic_client() -> None:
    transaction = bytes(range(1, 17))
    got = answer(request(change(0), transaction=transaction), V4, software=b"Clarion")
    message = decode(got.data)
    assert (message.classic, message.transaction, message.kind) == (True, transaction, Class.SUCCESS)
    assert [number for number, _ in message.attributes] == [Attribute.MAPPED_ADDRESS]
    assert read_address(message.value(Attribute.MAPPED_ADDRESS)) == V4
    refused = decode(answer(request(change(6), transaction=transaction), V4).data)
    assert (refused.kind, refused.classic) == (Class.ERROR, True)
    unknown = refused.value(Attribute.UNKNOWN_ATTRIBUTES)
    assert unknown == b"\0\3\0\3"


def test_classic_client_of_a_server_with_two_addresses() -> None:
    got = answer(request(change(6), transaction=bytes(16)), V4, LOCAL)
    message = decode(got.data)
    assert got.origin == LOCAL.other
    assert message.value(Attribute.SOURCE_ADDRESS) == address_value(LOCAL.other)
    assert message.value(Attribute.CHANGED_ADDRESS) == address_value(LOCAL.other)


@pytest.mark.parametrize(
    ("flags", "origin"), [(0, None), (2, LOCAL.other_port), (4, LOCAL.other_host), (6, LOCAL.other)]
)
def test_behaviour_discovery(flags: int, origin: Address | None) -> None:
    got = answer(request(change(flags)), V4, LOCAL)
    message = decode(got.data)
    assert got.origin == origin
    assert read_address(message.value(Attribute.XOR_MAPPED_ADDRESS), T) == V4
    assert message.value(Attribute.RESPONSE_ORIGIN) == address_value(origin or LOCAL.here)
    assert message.value(Attribute.OTHER_ADDRESS) == address_value(LOCAL.other)


def test_response_port() -> None:
    asked = request(attribute(Attribute.RESPONSE_PORT, b"\x13\x88\0\0"))
    assert answer(asked, V4, LOCAL).port == 5000
    assert decode(answer(asked, V4).data).kind == Class.ERROR


def test_without_two_addresses_a_change_is_unknown() -> None:
    got = decode(answer(request(change(2)), V4).data)
    assert got.value(Attribute.UNKNOWN_ATTRIBUTES)[:2] == b"\0\3"


def test_limit_of_a_source() -> None:
    limit = SourceLimit(rate=2, burst=3)
    assert [limit.passes("192.0.2.1", 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert limit.passes("192.0.2.2", 0.0)
    assert [limit.passes("192.0.2.1", 1.0) for _ in range(3)] == [True, True, False]
    assert all(SourceLimit(0, 0).passes("192.0.2.1", 0.0) for _ in range(100))


def test_limit_takes_a_customer_by_ipv6_as_one() -> None:
    limit = SourceLimit(rate=1, burst=1)
    assert limit.passes("2001:db8:1:2:3::4", 0.0)
    assert not limit.passes("2001:db8:1:2:9::8", 0.0)
    assert limit.passes("2001:db8:1:3:3::4", 0.0)


def test_limit_is_bounded_and_still_holds() -> None:
    limit = SourceLimit(rate=1, burst=2, most=100)
    limit.passes("10.0.0.1", 0.0)
    limit.passes("10.0.0.1", 0.0)
    for n in range(150):
        limit.passes(f"10.1.0.{n}", 0.0)
    assert not limit.passes("10.0.0.1", 0.0)
    assert len(limit._new) <= 100
