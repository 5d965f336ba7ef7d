"""What must happen at a media port, as scripts that both forms of the latch play.

A step is `tell(at, "host:port", ...)`, `follow(at, host)`, `packet(at, "host:port", verdict, ...)`,
`burst(...)` (many packets, 20 ms apart, all with one verdict) or `sends("host:port" or None)`.
"""

from typing import Any, NamedTuple

from relay.address import Address
from relay.latch import Verdict
from relay.packet import Kind

PASS, LATCH, TAKE = Verdict.PASS, Verdict.LATCH, Verdict.TAKE
FOREIGN, PROBATION, STALE = Verdict.DROP_FOREIGN, Verdict.DROP_PROBATION, Verdict.DROP_STALE
SOURCE, MALFORMED = Verdict.DROP_SOURCE, Verdict.DROP_MALFORMED
FRAME = 0.02  # s


class Vector(NamedTuple):
    steps: list[tuple[Any, ...]]
    options: dict[str, bool] = {}  # noqa: RUF012


def at(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


def tell(now: float, where: str, **said: Any) -> tuple[Any, ...]:
    return ("tell", now, at(where), said)


def follow(now: float, host: str) -> tuple[Any, ...]:
    return ("follow", now, host)


def packet(
    now: float, source: str, verdict: Verdict, sequence: int = 1, ssrc: int = 7, kind: Kind = Kind.RTP
) -> tuple[Any, ...]:
    return ("packet", now, at(source), kind, ssrc, sequence, verdict)


def burst(
    now: float, source: str, verdict: Verdict, count: int, sequence: int = 1, ssrc: int = 7
) -> list[tuple[Any, ...]]:
    return [packet(now + i * FRAME, source, verdict, sequence + i & 0xFFFF, ssrc) for i in range(count)]


def sends(where: str | None) -> tuple[Any, ...]:
    return ("sends", None if where is None else at(where))


SDP = "192.168.1.5:7000"  # what a phone behind NAT says
NAT = "203.0.113.1:40000"  # where its packets come from
PUBLIC = "198.51.100.9:6000"
OTHER = "198.51.100.77:5000"
NATTED = {"natted": True, "via": "203.0.113.1"}

LEARNING: dict[str, Vector] = {
    "the first packet of a phone with a public address": Vector([
        tell(0, PUBLIC), sends(PUBLIC), packet(1, PUBLIC, LATCH), sends(PUBLIC),
        packet(1.02, PUBLIC, PASS, 2),
    ]),
    "behind NAT: the first packet from the host of its signalling": Vector([
        tell(0, SDP, **NATTED), sends(None), packet(1, NAT, LATCH), sends(NAT), packet(1.02, NAT, PASS, 2),
    ]),
    "behind NAT, from a host nobody expects: the second packet in sequence": Vector([
        tell(0, SDP, natted=True, via="203.0.113.200"),
        packet(1, NAT, PROBATION, 1), sends(None), packet(1.02, NAT, LATCH, 2), sends(NAT),
    ]),
    "nothing was told yet (early media before the answer)": Vector([
        sends(None), *burst(1, PUBLIC, PROBATION, 9), packet(1.2, PUBLIC, LATCH, 10), sends(PUBLIC),
        tell(2, PUBLIC), sends(PUBLIC), packet(2, PUBLIC, PASS, 11),
    ]),
    "a believable SDP: strangers need ten packets in sequence": Vector([
        tell(0, PUBLIC), *burst(1, OTHER, PROBATION, 9), sends(PUBLIC),
        packet(1.2, OTHER, LATCH, 10), sends(OTHER),
    ]),
    "the expected source replaces a stranger who was first": Vector([
        tell(0, SDP, **NATTED),
        packet(1, OTHER, PROBATION, 1, 9), packet(1.02, OTHER, LATCH, 2, 9),
        packet(1.1, NAT, LATCH, 1), sends(NAT), packet(1.12, OTHER, FOREIGN, 3, 9), sends(NAT),
    ]),
    "but not after the first seconds": Vector([
        tell(0, SDP, natted=True), packet(0, OTHER, PROBATION, 1, 9), *burst(0.02, OTHER, LATCH, 1, 2, 9),
        *burst(0.04, OTHER, PASS, 600, 3, 9), packet(12.04, SDP, FOREIGN), sends(OTHER),
    ]),
    "a sprayer with random numbers never passes probation": Vector([
        tell(0, SDP, **NATTED),
        *[packet(i / 10, OTHER, PROBATION, i * 977 & 0xFFFF, 9) for i in range(50)],
        *[packet(5 + i / 10, OTHER, PROBATION, i, 1000 + i) for i in range(50)], sends(None),
    ]),
    "many sprayers disturb each other": Vector([
        tell(0, SDP, **NATTED),
        *[packet(i / 10, f"198.51.100.{i}:4000", PROBATION, i, 9) for i in range(50)], sends(None),
    ]),
    "addresses nothing can come from": Vector([
        tell(0, SDP, natted=True), packet(1, "0.0.0.0:5000", SOURCE), packet(1, "224.0.0.1:5000", SOURCE),
        packet(1, "255.255.255.255:5000", SOURCE), packet(1, "203.0.113.1:0", SOURCE), sends(None),
    ]),
    "no packet of media at all": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, MALFORMED, kind=Kind.OTHER), sends(PUBLIC),
    ]),
    "IPv6": Vector([
        tell(0, "[2001:db8::5]:7000"), sends("[2001:db8::5]:7000"),
        packet(1, "[2001:db8::5]:7002", LATCH), sends("[2001:db8::5]:7002"),
        packet(1, "[ff02::1]:7002", SOURCE), packet(1, "[::]:7002", SOURCE),
    ]),
    "IPv6 of the same last octets is another host": Vector([
        tell(0, "[2001:db8::5]:7000", natted=True), packet(1, "[2001:db9::5]:7000", PROBATION),
    ]),
}  # fmt: skip

THEFT: dict[str, Vector] = {
    "a sprayed port does not give a started stream away": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH),
        *[packet(1 + i * FRAME, NAT, PASS, 1 + i) for i in range(1, 5)],
        *burst(1.1, OTHER, FOREIGN, 100, 5000, 99), sends(NAT),
    ]),
    "nor to one who knows host, SSRC and sequence, while the phone speaks": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 1), packet(1.02, NAT, PASS, 2),
        packet(1.03, "203.0.113.1:40001", FOREIGN, 3), packet(1.04, NAT, PASS, 3), sends(NAT),
    ]),
    "nor by STUN, DTLS, ZRTP or RTCP, ever": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH),
        *[packet(1.1, OTHER, FOREIGN, kind=kind) for kind in (Kind.STUN, Kind.DTLS, Kind.ZRTP, Kind.RTCP)],
        *[packet(60, OTHER, FOREIGN, kind=kind) for kind in (Kind.STUN, Kind.DTLS, Kind.ZRTP, Kind.RTCP)],
        sends(NAT),
    ]),
    "a stream learned by silence goes back to the phone": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH), packet(8, OTHER, PROBATION, 1, 9),
        packet(8.02, OTHER, LATCH, 2, 9), packet(9, NAT, LATCH, 400), sends(NAT),
    ]),
}  # fmt: skip

SILENCE: dict[str, Vector] = {
    "after silence another source is learned": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH),
        packet(5.9, "203.0.113.1:40999", FOREIGN, 1, 8), packet(6.1, "203.0.113.1:40999", LATCH, 2, 8),
        sends("203.0.113.1:40999"),
    ]),
    "RTCP of the source says that it is there": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH), packet(5, NAT, PASS, kind=Kind.RTCP),
        packet(7, "203.0.113.1:40999", FOREIGN, 1, 8), sends(NAT),
    ]),
    "NAT gives a new port: the stream goes on there": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 65534), packet(1.02, NAT, PASS, 65535),
        packet(1.04, "203.0.113.1:41000", FOREIGN, 0), packet(1.30, "203.0.113.1:41000", FOREIGN, 13),
        packet(1.34, "203.0.113.1:41000", LATCH, 15), sends("203.0.113.1:41000"),
    ]),
    "Wi-Fi to LTE without a word": Vector([
        tell(0, SDP, **NATTED), *burst(1, NAT, LATCH, 1, 100), *burst(1.02, NAT, PASS, 50, 101),
        packet(2.9, "100.70.1.2:999", LATCH, 160), sends("100.70.1.2:999"),
        packet(2.95, NAT, FOREIGN, 150), sends("100.70.1.2:999"),  # late, from the old network
        packet(4, NAT, FOREIGN, 151), packet(4.02, "100.70.1.2:999", PASS, 220),
    ]),
    "and back again": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 100), packet(1.5, "100.70.1.2:999", LATCH, 120),
        packet(2.5, NAT, LATCH, 170), sends(NAT),
    ]),
    "another SSRC, or a jump, is not the same stream": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 100), packet(2, OTHER, FOREIGN, 150, 8),
        packet(2, OTHER, FOREIGN, 20000), packet(2, OTHER, FOREIGN, 90), sends(NAT),
    ]),
    "a copy or a late packet teaches nothing even after silence": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 100),
        packet(9, "203.0.113.1:40999", FOREIGN, 100), packet(9, "203.0.113.1:40999", FOREIGN, 95), sends(NAT),
    ]),
    "the source itself may jump, wrap and change its SSRC": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, 65535), packet(1.02, PUBLIC, PASS, 0),
        packet(1.04, PUBLIC, PASS, 30000), packet(1.06, PUBLIC, PASS, 3), packet(1.08, PUBLIC, PASS, 1, 1234),
        sends(PUBLIC),
    ]),
    "told that the phone moved, though it names the same address": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 100),
        tell(2, SDP, natted=True, via="100.70.1.2", moved=True), sends(NAT),
        packet(2.01, NAT, PASS, 150), packet(2.02, "100.70.1.2:999", LATCH, 151), sends("100.70.1.2:999"),
        packet(2.03, NAT, FOREIGN, 149), sends("100.70.1.2:999"),
    ]),
}  # fmt: skip

# reference/habits.md, row 16: one-way audio after re-INVITE or hold, by issue of rtpengine and rtpproxy.
ONE_WAY: dict[str, Vector] = {
    "817: one late packet from the old port after the SDP changed": Vector([
        tell(0, "198.51.100.245:34150"), packet(1, "198.51.100.245:34150", LATCH, 10),
        tell(60, "198.51.100.242:30840"), sends("198.51.100.242:30840"),
        packet(60.01, "198.51.100.245:34150", PASS, 3000), sends("198.51.100.242:30840"),
        packet(90, "198.51.100.245:34150", STALE, 3001), sends("198.51.100.242:30840"),
    ]),
    "817: the same with only the port changed": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, 10), tell(60, "198.51.100.9:6002"),
        packet(60.01, PUBLIC, PASS, 3000), sends("198.51.100.9:6002"),
        packet(99, PUBLIC, PASS, 3001), sends("198.51.100.9:6002"),
    ]),
    "817: an application that has nothing to do with the call": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, 10), tell(60, "10.51.0.15:18000"),
        packet(60.01, OTHER, PROBATION, 7, 9), packet(60.5, OTHER, PROBATION, 4711, 9),
        sends("10.51.0.15:18000"), packet(61, "10.51.0.15:18000", LATCH, 1, 3), sends("10.51.0.15:18000"),
    ]),
    "630: hold moves the media to a music server": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, 10), tell(60, OTHER), sends(OTHER),
        packet(60.01, PUBLIC, PASS, 3000), packet(60.05, OTHER, LATCH, 1, 99), sends(OTHER),
        packet(60.06, PUBLIC, FOREIGN, 3001), sends(OTHER),
        # the phone on hold keeps sending comfort noise; the music server only listens
        *burst(61, OTHER, PASS, 10, 2, 99), packet(65, PUBLIC, FOREIGN, 3005), sends(OTHER),
    ]),
    "630: and the music server never sends": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, 10), tell(60, OTHER),
        *burst(60, PUBLIC, PASS, 100, 3000), *burst(62.01, PUBLIC, STALE, 200, 3100), sends(OTHER),
    ]),
    "639: and resume moves it back": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH), tell(10, "0.0.0.0:6000"), sends(None),
        tell(11, OTHER), packet(11.1, OTHER, LATCH, 5, 9), tell(20, PUBLIC), sends(PUBLIC),
        packet(20.01, OTHER, PASS, 6, 9), sends(PUBLIC), packet(20.1, PUBLIC, LATCH, 2), sends(PUBLIC),
    ]),
    "1354: the answer names another address than the early media did": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, 10), tell(2, OTHER), sends(OTHER),
        packet(2.01, PUBLIC, PASS, 60), packet(2.1, OTHER, LATCH, 1, 99), sends(OTHER),
    ]),
    "1354: before anything was heard": Vector([
        tell(0, PUBLIC), sends(PUBLIC), tell(2, OTHER), sends(OTHER), packet(3, OTHER, LATCH),
    ]),
    "1416: codec and port change with the same host": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, 10), tell(5, "198.51.100.9:3002"),
        packet(5.1, "198.51.100.9:3002", LATCH, 800, 55), sends("198.51.100.9:3002"),
        packet(5.2, PUBLIC, FOREIGN, 11), sends("198.51.100.9:3002"),
    ]),
    "765: SSRC and sequence begin anew after a re-INVITE that changes nothing": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, 27741, 0x1B578619), tell(5, PUBLIC),
        packet(5.1, PUBLIC, PASS, 27742, 0x6F09C071), packet(5.2, PUBLIC, PASS, 3, 0x1B578619),
        packet(5.3, PUBLIC, PASS, 4, 0x1B578619), sends(PUBLIC),
    ]),
    "1669: a peer that is heard only after the re-INVITE": Vector([
        tell(0, PUBLIC), sends(PUBLIC), tell(5, PUBLIC), packet(5.5, PUBLIC, LATCH), sends(PUBLIC),
    ]),
    "666: hold and resume with the SDP of a phone behind NAT": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 10), tell(5, "0.0.0.0:7000", **NATTED), sends(None),
        tell(30, SDP, **NATTED), sends(NAT), packet(30.1, NAT, PASS, 900), sends(NAT),
    ]),
    "666: hold by direction alone, for long": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 10), tell(5, SDP, **NATTED), sends(NAT),
        tell(600, SDP, **NATTED), sends(NAT), packet(600.1, NAT, PASS, 11), sends(NAT),
    ]),
    "rtpproxy 47: a private SDP, then a new real address": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH), tell(5, "10.0.0.3:7000", natted=True, via="203.0.113.1"),
        sends(PUBLIC), packet(5.1, NAT, LATCH, 1, 9), sends(NAT),
    ]),
    "a phone behind NAT announces a new port but keeps its socket": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 10), tell(5, "192.168.1.5:7002", **NATTED), sends(NAT),
        *burst(5, NAT, PASS, 75, 300), packet(6.5, NAT, LATCH, 375), sends(NAT), packet(6.52, NAT, PASS, 376),
    ]),
    "the re-INVITE names what was learned": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, 10), tell(5, NAT),
        sends(NAT), packet(5.1, NAT, PASS, 11),
    ]),
    "asymmetric: sends where the SDP says": Vector([
        tell(0, PUBLIC, asymmetric=True), packet(1, OTHER, PROBATION), *burst(1.02, OTHER, PROBATION, 8, 2),
        packet(1.2, OTHER, LATCH, 10), sends(PUBLIC),
    ]),
}  # fmt: skip

BEFORE_MEDIA: dict[str, Vector] = {
    "DTLS comes first and is answered; media confirms": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, TAKE, kind=Kind.DTLS), sends(NAT),
        packet(1.1, NAT, PASS, kind=Kind.DTLS), packet(1.2, NAT, LATCH),
        packet(1.3, NAT, PASS, kind=Kind.STUN),
    ]),
    "media from elsewhere wins over STUN": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, TAKE, kind=Kind.STUN),
        packet(1.1, "203.0.113.1:40010", LATCH), sends("203.0.113.1:40010"),
    ]),
    "STUN from a second path does not move it while the first speaks": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, TAKE, kind=Kind.STUN),
        packet(1.1, "203.0.113.1:40010", FOREIGN, kind=Kind.STUN), sends(NAT),
        packet(2, "203.0.113.1:40010", TAKE, kind=Kind.STUN), sends("203.0.113.1:40010"),
    ]),
    "a stranger's STUN needs a second packet": Vector([
        tell(0, SDP, **NATTED), packet(1, OTHER, PROBATION, kind=Kind.STUN), sends(None),
        packet(1.1, OTHER, TAKE, kind=Kind.STUN), packet(1.2, NAT, LATCH), sends(NAT),
    ]),
    "late media of the old source after the new one shook hands": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, 10), tell(5, OTHER),
        packet(5.1, OTHER, TAKE, kind=Kind.DTLS),
        *burst(5.2, PUBLIC, FOREIGN, 30, 200), sends(OTHER), packet(6, OTHER, LATCH, 1, 9),
    ]),
}  # fmt: skip

RTCP: dict[str, Vector] = {
    "RTCP teaches its own port": Vector([
        tell(0, PUBLIC), packet(1, PUBLIC, LATCH, kind=Kind.RTCP), packet(1, PUBLIC, PASS, kind=Kind.RTP),
    ], {"rtcp": True}),
    "RTCP comes from where RTP was learned": Vector([
        tell(0, SDP, natted=True), follow(1, "203.0.113.1"),
        packet(2, "203.0.113.1:40001", LATCH, kind=Kind.RTCP),
        follow(30, "100.70.1.2"),
        packet(31, "100.70.1.2:40001", LATCH, kind=Kind.RTCP), sends("100.70.1.2:40001"),
    ], {"rtcp": True}),
    "T.38 has no RTP header": Vector([
        tell(0, SDP, **NATTED), packet(1, NAT, LATCH, kind=Kind.OTHER),
        packet(1.1, NAT, PASS, kind=Kind.OTHER),
        packet(1.2, OTHER, FOREIGN, kind=Kind.OTHER), sends(NAT),
    ], {"raw": True}),
}  # fmt: skip

VECTORS: dict[str, Vector] = LEARNING | THEFT | SILENCE | ONE_WAY | BEFORE_MEDIA | RTCP
