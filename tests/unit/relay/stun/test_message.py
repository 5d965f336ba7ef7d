"""The STUN codec against RFC 5769 and against what is broken."""

import random

import pytest

from relay.address import Address
from relay.stun.integrity import integrity, is_genuine, long_term_key, short_term_key
from relay.stun.message import (
    Attribute,
    Class,
    Malformed,
    attribute,
    decode,
    encode,
    read_address,
    xor_address_value,
)
from tests.unit.relay.stun import vectors

KEY = short_term_key(vectors.PASSWORD)


def test_sample_request() -> None:
    message = decode(vectors.REQUEST)
    assert (message.kind, message.method, message.transaction) == (Class.REQUEST, 1, vectors.TRANSACTION)
    assert message.fingerprinted
    assert not message.classic
    assert message.value(Attribute.SOFTWARE) == b"STUN test client"
    assert message.value(Attribute.USERNAME) == b"evtj:h6vY"
    assert is_genuine(vectors.REQUEST, KEY)
    assert not is_genuine(vectors.REQUEST, b"other")


@pytest.mark.parametrize(
    ("data", "host"),
    [(vectors.RESPONSE_V4, "192.0.2.1"), (vectors.RESPONSE_V6, "2001:db8:1234:5678:11:2233:4455:6677")],
)
def test_sample_responses(data: bytes, host: str) -> None:
    message = decode(data)
    assert (message.kind, message.fingerprinted) == (Class.SUCCESS, True)
    assert message.value(Attribute.SOFTWARE) == b"test vector"
    value = message.value(Attribute.XOR_MAPPED_ADDRESS)
    assert read_address(value, message.transaction) == Address(host, 32853)
    assert xor_address_value(Address(host, 32853), message.transaction) == value
    assert is_genuine(data, KEY)


def test_the_sample_response_is_made_bit_by_bit() -> None:
    # RFC 5769 pads SOFTWARE with a blank, we with zeros: the blank is put in by hand
    software = bytes.fromhex("8022000b") + b"test vector "
    body = software + attribute(
        Attribute.XOR_MAPPED_ADDRESS, xor_address_value(Address("192.0.2.1", 32853), vectors.TRANSACTION)
    )
    before = encode(Class.SUCCESS, 1, vectors.TRANSACTION, body)
    body += attribute(Attribute.MESSAGE_INTEGRITY, integrity(before, KEY))
    assert encode(Class.SUCCESS, 1, vectors.TRANSACTION, body, sign=True) == vectors.RESPONSE_V4


def test_sample_request_with_long_term_credentials() -> None:
    message = decode(vectors.LONG_TERM)
    assert message.value(Attribute.USERNAME).decode() == vectors.LONG_TERM_USER
    assert message.value(Attribute.REALM) == b"example.org"
    assert not message.fingerprinted
    key = long_term_key(vectors.LONG_TERM_USER, vectors.REALM, vectors.LONG_TERM_PASSWORD)
    assert is_genuine(vectors.LONG_TERM, key)


def test_sha256_counts_more() -> None:
    before = encode(Class.REQUEST, 1, bytes(12), b"")
    value = integrity(before, KEY, sha256=True)
    whole = encode(Class.REQUEST, 1, bytes(12), attribute(Attribute.MESSAGE_INTEGRITY_SHA256, value))
    assert is_genuine(whole, KEY)
    assert not is_genuine(whole[:-1] + b"!", KEY)


@pytest.mark.parametrize("kind", list(Class))
@pytest.mark.parametrize("method", [1, 3, 0x10, 0x7F, 0x80, 0xABC, 0xFFF])
def test_class_and_method(kind: Class, method: int) -> None:
    data = encode(kind, method, bytes(range(12)), b"", sign=True)
    assert data[0] < 0x40
    message = decode(data)
    assert (message.kind, message.method, message.transaction) == (kind, method, bytes(range(12)))


def test_classic() -> None:
    data = b"\x00\x01\x00\x08" + bytes(range(100, 116)) + bytes.fromhex("0003000400000000")
    message = decode(data)
    assert message.classic
    assert message.transaction == bytes(range(100, 116))
    assert encode(Class.REQUEST, 1, message.transaction, data[20:]) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        vectors.REQUEST[:19],
        vectors.REQUEST[:-4],
        vectors.REQUEST + bytes(4),
        vectors.REQUEST[:-1] + b"!",  # fingerprint
        b"\x80" + vectors.REQUEST[1:],
        encode(Class.REQUEST, 1, bytes(12), b"\x00\x06\xff\xff"),
        encode(Class.REQUEST, 1, bytes(12), b"\x00\x06\x00\x05abcd"),
        encode(Class.REQUEST, 1, bytes(12), b"\x00\x06"),
        encode(Class.REQUEST, 1, bytes(12), attribute(0x8028, bytes(3))),
        encode(Class.REQUEST, 1, bytes(12), attribute(0x8022, b"x") * 65),
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data)


def test_nothing_may_follow_the_fingerprint() -> None:
    signed = encode(Class.REQUEST, 1, bytes(12), b"", sign=True)
    with pytest.raises(Malformed):
        decode(signed[:3] + b"\x0c" + signed[4:] + attribute(0x8022, b""))


def test_mutations_are_read_or_malformed() -> None:
    chance = random.Random(2)
    for _ in range(5000):
        data = bytearray(chance.choice((vectors.REQUEST, vectors.RESPONSE_V6, vectors.LONG_TERM)))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            message = decode(bytes(data))
        except Malformed:
            continue
        value = message.value(Attribute.XOR_MAPPED_ADDRESS)
        try:
            assert value is None or read_address(value, message.transaction)
        except Malformed:
            pass


@pytest.mark.parametrize(
    "value", [b"", bytes(8), b"\0\1" + bytes(5), b"\0\2" + bytes(6), b"\0\1" + bytes(18)]
)
def test_no_address(value: bytes) -> None:
    with pytest.raises(Malformed):
        read_address(value)
