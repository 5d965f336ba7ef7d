"""A session description (RFC 8866) as lines of which a few can be replaced; the rest stays byte for byte.

Only what a relay has to know is read: addresses, ports, what shares a port (rtcp-mux, BUNDLE), candidates. A
description that cannot be understood is refused as a whole, never half rewritten.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

MOST_MEDIA = 64
LONGEST = 262_144  # bytes
NOWHERE = ("0.0.0.0", "::")  # the address of a stream on hold, before RFC 3264 said sendonly


class SdpError(ValueError):
    """The description cannot be understood; the text says why."""


class Connection:
    """One c= line (RFC 8866 5.7): its place among the lines, and its address."""

    __slots__ = ("address", "line", "version")

    def __init__(self, line: int, address: str, version: int) -> None:
        self.line = line
        self.address = address
        self.version = version  # 4 or 6


class Media:
    """One media line and what follows it (RFC 8866 5.14). Line numbers count from 0; -1 for none."""

    __slots__ = (
        "bundle_only", "candidates", "connection", "direction", "end", "formats", "kind", "last_candidate",
        "line", "mid", "mux", "port", "protocol", "rtcp", "rtcp_address", "rtcp_line", "ufrag", "unrelayed",
    )  # fmt: skip

    def __init__(self, line: int, kind: str, port: int, protocol: str, formats: tuple[str, ...]) -> None:
        self.line = line
        self.end = line + 1  # the line after its last
        self.kind = kind
        self.port = port
        self.protocol = protocol
        self.formats = formats
        self.connection: Connection | None = None  # of its own
        self.direction = ""  # "": as the session says, else sendrecv
        self.mid = ""
        self.mux = False  # RTP and RTCP share a port (RFC 5761)
        self.bundle_only = False  # RFC 8843: port 0, and yet not rejected
        self.rtcp = 0  # port of a=rtcp (RFC 3605); 0: the next port
        self.rtcp_address = ""
        self.rtcp_line = -1
        self.ufrag = ""  # of ICE (RFC 8839)
        self.candidates = 0
        self.last_candidate = -1
        self.unrelayed = False  # a relay before us says that it should not be relayed again

    @property
    def rejected(self) -> bool:
        """Port 0 (RFC 3264 6)."""
        return self.port == 0 and not self.bundle_only

    @property
    def over_udp(self) -> bool:
        """Whether it is RTP, or anything else over UDP: T.38 (udptl) and DTLS are relayed like audio."""
        protocol = self.protocol.upper()
        return not protocol.startswith("TCP") and "MSRP" not in protocol


class Description:
    """One session description. `lines` keep their line ends."""

    __slots__ = ("bundles", "connection", "direction", "ice_lite", "lines", "media", "ufrag", "unrelayed")

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines
        self.connection: Connection | None = None
        self.media: list[Media] = []
        self.direction = ""
        self.ufrag = ""
        self.ice_lite = False
        self.unrelayed = False
        self.bundles: list[tuple[str, ...]] = []  # mids of each BUNDLE group (RFC 8843)

    def connection_of(self, media: Media) -> Connection:
        """Where a media line is received: its own c= line or the session's (one of both is there)."""
        found = media.connection or self.connection
        assert found is not None, "parse_sdp refuses a media line without an address"
        return found

    def direction_of(self, media: Media) -> str:
        """sendrecv, sendonly, recvonly or inactive."""
        if self.connection_of(media).address in NOWHERE and not media.ufrag:
            return "sendonly"
        return media.direction or self.direction or "sendrecv"

    def held(self, media: Media) -> bool:
        """The old way of holding: no address to send to."""
        return self.connection_of(media).address in NOWHERE


def parse_sdp(body: bytes) -> Description:
    """Reads a description. Raises SdpError."""
    if len(body) > LONGEST:
        raise SdpError(f"longer than {LONGEST} bytes")
    lines = [line + b"\n" for line in body.split(b"\n")]
    last = lines.pop()[:-1]
    if last:
        lines.append(last)
    if not lines or lines[0].strip() != b"v=0":
        raise SdpError("it does not begin with v=0")
    description = Description(lines)
    for number, name, value in _fields(lines):
        _read(description, number, name, value)
    for media in description.media:
        if media.connection is None and description.connection is None and not media.rejected:
            raise SdpError("a media line without an address (c=)")
        media.ufrag = media.ufrag or description.ufrag
    return description


def _read(description: Description, number: int, name: str, value: str) -> None:
    if name == "m":
        if len(description.media) == MOST_MEDIA:
            raise SdpError(f"more than {MOST_MEDIA} media lines")
        description.media.append(_media(number, value))
        return
    media = description.media[-1] if description.media else None
    if media is not None:
        media.end = number + 1
    if name == "c":
        _connect(description, media, number, value)
    elif name == "a":
        attribute, _, text = value.partition(":")
        if media is None:
            _of_session(description, attribute, text)
        else:
            _of_media(media, number, attribute, text)


def _fields(lines: list[bytes]) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(lines):
        text = line.rstrip(b"\r\n")
        if not text and number >= len(lines) - 2:
            return  # empty lines at the end hurt nobody
        if len(text) < 2 or text[1:2] != b"=" or not text[:1].isalpha() or b"\r" in text:
            raise SdpError(f"line {number + 1} is none of a session description")
        yield number, chr(text[0]), text[2:].decode("utf-8", "surrogateescape")


def _media(number: int, value: str) -> Media:
    parts = value.split()
    if len(parts) < 4:
        raise SdpError("a media line with fewer than four fields")
    port, slash, count = parts[1].partition("/")
    if slash and count != "1":
        raise SdpError("a media line with several ports")
    return Media(number, parts[0], _port(port), parts[2], tuple(parts[3:]))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > 65535:
        raise SdpError(f"{text[:20]!r} is no port")
    return int(text)


def _connect(description: Description, media: Media | None, number: int, value: str) -> None:
    parts = value.split()
    if len(parts) != 3 or parts[0] != "IN" or parts[1] not in ("IP4", "IP6"):
        raise SdpError("a c= line that is not IN IP4 or IP6")
    connection = Connection(number, parts[2], int(parts[1][2]))
    if "/" in parts[2]:
        raise SdpError("a multicast address")
    if parts[2] in NOWHERE or _is_address(parts[2]) in (0, connection.version):
        if media is None:
            description.connection = connection
        else:
            media.connection = media.connection or connection
        return
    raise SdpError("a c= line whose address is of another family than it says")


def _is_address(text: str) -> int:
    """4, 6, or 0 for a name."""
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return 0


def _of_session(description: Description, attribute: str, text: str) -> None:
    if attribute in ("sendrecv", "sendonly", "recvonly", "inactive"):
        description.direction = attribute
    elif attribute == "group" and text.startswith("BUNDLE"):
        description.bundles.append(tuple(text.split()[1:]))
    elif attribute == "ice-ufrag":
        description.ufrag = text.strip()
    elif attribute == "ice-lite":
        description.ice_lite = True
    elif attribute == "nortpproxy":
        description.unrelayed = text.strip() == "yes"


def _of_media(media: Media, number: int, attribute: str, text: str) -> None:
    if attribute in ("sendrecv", "sendonly", "recvonly", "inactive"):
        media.direction = attribute
    elif attribute == "rtcp-mux":
        media.mux = True
    elif attribute == "rtcp":
        parts = text.split()
        if not parts:
            raise SdpError("a=rtcp without a port")
        media.rtcp, media.rtcp_line = _port(parts[0]), number
        media.rtcp_address = parts[3] if len(parts) == 4 else ""
    elif attribute == "candidate":
        media.candidates += 1
        media.last_candidate = number
    elif attribute == "ice-ufrag":
        media.ufrag = text.strip()
    elif attribute == "mid":
        media.mid = text.strip()
    elif attribute == "bundle-only":
        media.bundle_only = True
    elif attribute == "nortpproxy":
        media.unrelayed = text.strip() == "yes"
