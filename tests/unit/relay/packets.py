"""Packets of media ports, whole and broken, and what they are."""

import struct

from relay.packet import Kind


def rtp(
    sequence: int = 1, ssrc: int = 7, timestamp: int = 160, payload: bytes = b"\x55" * 160, kind: int = 0
) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def stun(length: int = 0) -> bytes:
    return struct.pack("!HH", 1, length) + b"\x21\x12\xa4\x42" + b"t" * 12


def dtls(length: int = 20, real: int = 20) -> bytes:
    return b"\x16\xfe\xff" + bytes(8) + struct.pack("!H", length) + bytes(real)


RTCP_RR = struct.pack("!BBHI", 0x80, 201, 1, 7)
KINDS: list[tuple[bytes, Kind]] = [
    (rtp(), Kind.RTP),
    (rtp(payload=b""), Kind.RTP),  # a header alone is a packet (comfort noise, keep-alive)
    (rtp()[:11], Kind.OTHER),
    (b"\x40" + rtp()[1:], Kind.OTHER),  # version 1
    (b"\x00" + rtp()[1:], Kind.STUN),  # not RTP, at least: decided by the length it claims
    (b"\xc0" + rtp()[1:], Kind.OTHER),  # version 3
    (b"\x8f" + rtp(payload=b"")[1:], Kind.OTHER),  # 15 contributing sources that are not there
    (b"\x82" + rtp(payload=bytes(8))[1:], Kind.RTP),
    (b"\x90" + rtp(payload=b"\xbe\xde\x00\x01" + bytes(4))[1:], Kind.RTP),
    (b"\x90" + rtp(payload=b"\xbe\xde\x00\x02" + bytes(4))[1:], Kind.OTHER),  # the extension is longer
    (b"\x90" + rtp(payload=b"\xbe\xde")[1:], Kind.OTHER),
    (b"\x90" + rtp(payload=b"\xbe\xde\xff\xff" + bytes(400))[1:], Kind.OTHER),
    (rtp(kind=127), Kind.RTP),
    (rtp(kind=128 + 96), Kind.RTP),
    (RTCP_RR, Kind.RTCP),
    (RTCP_RR[:7], Kind.OTHER),
    (struct.pack("!BBHI", 0x81, 200, 2, 7), Kind.OTHER),  # claims 12 octets of 8
    (struct.pack("!BBHI", 0x81, 200, 0xFFFF, 7) + bytes(100), Kind.OTHER),
    (struct.pack("!BBHI", 0x80, 203, 0, 7), Kind.RTCP),
    (stun(), Kind.STUN),
    (stun()[:19], Kind.OTHER),
    (stun(4), Kind.OTHER),
    (stun(4) + bytes(4), Kind.STUN),
    (dtls(), Kind.DTLS),
    (dtls(30), Kind.OTHER),
    (dtls(0xFFFF), Kind.OTHER),
    (b"\x16\x03" + dtls()[2:], Kind.OTHER),  # TLS of streams
    (b"\x10\x00\x00\x01ZRTP" + bytes(20), Kind.ZRTP),
    (b"\x10\x00\x00\x01ZRTQ" + bytes(20), Kind.OTHER),
    (b"", Kind.OTHER),
    (b"\r\n", Kind.OTHER),
    (b"\0\0\0\0", Kind.OTHER),
    (b"\x40\x00\x00\x04" + bytes(20), Kind.OTHER),  # TURN channel
    (b"\xff" * 2000, Kind.OTHER),
]
