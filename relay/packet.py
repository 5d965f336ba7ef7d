"""What arrives on a media port, told by its first octets (RFC 7983, RFC 5761), and the RTP header.

Pure functions; `_packet.pxd` says the same in C and is tested against the same packets.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, NamedTuple


class Kind(IntEnum):
    """What a datagram is. OTHER is what no protocol of media ports begins with, or what is cut off."""

    RTP = 0
    RTCP = 1
    STUN = 2
    DTLS = 3
    ZRTP = 4
    OTHER = 5


class RtpHeader(NamedTuple):
    """The fields of the fixed header that a relay looks at."""

    ssrc: int
    sequence: int
    timestamp: int
    payload_type: int


_RTP: Final = struct.Struct("!xBHII")
_STUN_COOKIE: Final = b"\x21\x12\xa4\x42"
_LONGEST_DTLS: Final = 16_384 + 2_048


def kind_of(data: bytes) -> Kind:
    """The kind of a datagram. Lengths in headers are checked where encryption leaves them readable."""
    size = len(data)
    if size < 8:
        return Kind.OTHER
    first = data[0]
    if first >> 6 == 2:
        if 192 <= data[1] <= 223:  # RFC 5761: payload types 64-95 with the marker are RTCP
            return Kind.RTCP if 4 * (int.from_bytes(data[2:4], "big") + 1) <= size else Kind.OTHER
        return Kind.RTP if _rtp_fits(data) else Kind.OTHER
    if first < 4:
        return Kind.STUN if size >= 20 and size >= 20 + int.from_bytes(data[2:4], "big") else Kind.OTHER
    if first == 0x10:
        return Kind.ZRTP if size >= 12 and data[4:8] == b"ZRTP" else Kind.OTHER
    if 20 <= first < 64 and size >= 13:
        length = int.from_bytes(data[11:13], "big")
        return Kind.DTLS if data[1] == 254 and length <= min(size - 13, _LONGEST_DTLS) else Kind.OTHER
    return Kind.OTHER


def _rtp_fits(data: bytes) -> bool:
    size = len(data)
    end = 12 + 4 * (data[0] & 15)
    if data[0] & 16:
        if size < end + 4:
            return False
        end += 4 + 4 * int.from_bytes(data[end + 2 : end + 4], "big")
    return size >= end


def rtp_header(data: bytes) -> RtpHeader:
    """The header of a datagram of kind RTP."""
    marked, sequence, timestamp, ssrc = _RTP.unpack_from(data)
    return RtpHeader(ssrc, sequence, timestamp, marked & 127)


def ssrc_of(kind: Kind, data: bytes) -> int:
    """The SSRC of an RTP or RTCP datagram, 0 of others."""
    if kind == Kind.RTP:
        return int.from_bytes(data[8:12], "big")
    return int.from_bytes(data[4:8], "big") if kind == Kind.RTCP else 0
