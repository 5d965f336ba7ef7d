"""RTCP reports for tests."""

import struct


def block(
    ssrc: int, fraction: int = 0, lost: int = 0, jitter: int = 0, stamp: int = 0, kept: float = 0.0
) -> bytes:
    return struct.pack("!IIIIII", ssrc, fraction << 24 | lost & 0xFFFFFF, 0, jitter, stamp, int(kept * 65536))


def sender(ssrc: int, stamp: int, *blocks: bytes) -> bytes:
    body = struct.pack("!IHIHIII", ssrc, 0, stamp, 0, 0, 0, 0) + b"".join(blocks)
    return struct.pack("!BBH", 0x80 | len(blocks), 200, len(body) // 4) + body


def receiver(ssrc: int, *blocks: bytes) -> bytes:
    body = struct.pack("!I", ssrc) + b"".join(blocks)
    return struct.pack("!BBH", 0x80 | len(blocks), 201, len(body) // 4) + body


BYE = struct.pack("!BBHI", 0x81, 203, 1, 7)
