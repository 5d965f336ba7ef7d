"""STUN on the SIP port, with the vectors of RFC 5769."""

import struct
import zlib

import pytest

from node.transport import stun

# RFC 5769 2.1: request with SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME, MESSAGE-INTEGRITY, FINGERPRINT
SAMPLE_REQUEST = bytes.fromhex(
    "00010058" "2112a442" "b7e7a701bc34d686fa87dfae"
    "80220010" "5354554e207465737420636c69656e74"
    "00240004" "6e0001ff"
    "80290008" "932ff9b151263b36"
    "00060009" "6576746a3a68367659202020"
    "00080014" "9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004" "e57a3bcf"
)  # fmt: skip
# RFC 5769 2.2: IPv4 response; 2.3: IPv6 response
SAMPLE_V4 = bytes.fromhex(
    "0101003c" "2112a442" "b7e7a701bc34d686fa87dfae"
    "8022000b" "7465737420766563746f7220"
    "00200008" "0001a147e112a643"
    "00080014" "2b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004" "c07d4c96"
)  # fmt: skip
SAMPLE_V6 = bytes.fromhex(
    "01010048" "2112a442" "b7e7a701bc34d686fa87dfae"
    "8022000b" "7465737420766563746f7220"
    "00200014" "0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014" "a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004" "c8fb0b4c"
)  # fmt: skip
TRANSACTION = SAMPLE_REQUEST[8:20]


@pytest.mark.parametrize("raw", [SAMPLE_REQUEST, SAMPLE_V4, SAMPLE_V6])
def test_vectors_are_stun_with_a_true_fingerprint(raw: bytes) -> None:
    assert stun.is_stun(raw)
    found = stun.attributes(raw)
    assert found is not None
    assert found[stun.FINGERPRINT] == struct.pack("!I", zlib.crc32(raw[:-8]) ^ 0x5354554E)


def test_mapped_addresses_of_the_vectors() -> None:
    v4, v6 = stun.attributes(SAMPLE_V4), stun.attributes(SAMPLE_V6)
    assert stun.xor_address("192.0.2.1", 32853, TRANSACTION) == v4[stun.XOR_MAPPED_ADDRESS]
    assert (
        stun.xor_address("2001:db8:1234:5678:11:2233:4455:6677", 32853, TRANSACTION)
        == v6[stun.XOR_MAPPED_ADDRESS]
    )


def test_binding_answer() -> None:
    request = stun.message(stun.BINDING_REQUEST, TRANSACTION, b"")
    answer = stun.answer(request, "192.0.2.1", 32853)
    assert answer == stun.message(
        stun.BINDING_SUCCESS,
        TRANSACTION,
        stun.attribute(stun.XOR_MAPPED_ADDRESS, bytes.fromhex("0001a147e112a643")),
    )
    asked = stun.message(stun.BINDING_REQUEST, TRANSACTION, b"", fingerprint=True)
    answer = stun.answer(asked, "192.0.2.1", 32853)
    assert answer[-8:-4] == bytes.fromhex("80280004")
    assert answer[-4:] == struct.pack("!I", zlib.crc32(answer[:-8]) ^ 0x5354554E)


def test_unknown_attributes_that_must_be_understood() -> None:
    answer = stun.answer(SAMPLE_REQUEST, "192.0.2.1", 1)  # PRIORITY belongs to ICE
    found = stun.attributes(answer)
    assert int.from_bytes(answer[:2], "big") == stun.BINDING_ERROR
    assert found[stun.ERROR_CODE][2:4] == b"\x04\x14"
    assert found[stun.UNKNOWN_ATTRIBUTES] == b"\x00\x24"


def test_silence() -> None:
    request = stun.message(stun.BINDING_REQUEST, TRANSACTION, b"", fingerprint=True)
    assert stun.answer(SAMPLE_V4, "192.0.2.1", 1) is None
    assert stun.answer(stun.message(0x0011, TRANSACTION, b""), "192.0.2.1", 1) is None
    assert stun.answer(request[:-1] + b"\xff", "192.0.2.1", 1) is None
    assert stun.answer(stun.message(1, TRANSACTION, b"\x00\x06\x00\xff"), "192.0.2.1", 1) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"OPTIONS sip:a SIP/2.0\r\n",
        SAMPLE_REQUEST[:-4],
        b"\x80" + SAMPLE_REQUEST[1:],
        bytes(20),
    ],
)
def test_not_stun(raw: bytes) -> None:
    assert not stun.is_stun(raw)
