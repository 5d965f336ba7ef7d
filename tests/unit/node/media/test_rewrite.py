"""Session descriptions at the relay: what changes, and that nothing else does."""

from node.media.rewrite import Relayed, rewritten
from node.media.sdp import parse_sdp
from tests.unit.node.media.test_sdp import LINPHONE


def test_every_relayed_line_gets_the_address_and_ports_of_the_relay_and_nothing_else_changes() -> None:
    got = rewritten(
        parse_sdp(LINPHONE), {0: Relayed("198.51.100.1", 40000, 40001), 1: Relayed("198.51.100.1", 40002)}
    )
    expected = (
        LINPHONE.replace(b"c=IN IP4 10.0.0.5", b"c=IN IP4 198.51.100.1")
        .replace(b"audio 7078", b"audio 40000")
        .replace(b"a=rtcp:7079", b"a=rtcp:40001")
        .replace(b"video 9078", b"video 40002")
        .replace(b"c=IN IP6 2001:db8::5", b"c=IN IP4 198.51.100.1")
        .replace(b"a=group:BUNDLE as vs\r\n", b"a=group:BUNDLE as vs\r\na=nortpproxy:yes\r\n")
    )
    assert got == expected


def test_a_line_that_is_not_relayed_keeps_the_address_of_the_session() -> None:
    body = (
        b"v=0\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\ni=voice\r\na=ptime:20\r\n"
        b"m=message 9 TCP/MSRP *\r\n"
    )
    got = rewritten(parse_sdp(body), {0: Relayed("2001:db8::1", 40000, 40001)}, mark=False)
    assert got == (
        b"v=0\r\nc=IN IP4 10.0.0.5\r\nm=audio 40000 RTP/AVP 0\r\ni=voice\r\nc=IN IP6 2001:db8::1\r\n"
        b"a=ptime:20\r\nm=message 9 TCP/MSRP *\r\n"
    )


def test_a_stream_on_hold_without_an_address_stays_on_hold() -> None:
    body = b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n"
    assert rewritten(parse_sdp(body), {0: Relayed("198.51.100.1", 40000, 40001)}, mark=False) == body.replace(
        b"4000", b"40000"
    )


def test_an_rtcp_port_that_is_not_the_next_one_is_said() -> None:
    body = b"v=0\nc=IN IP4 10.0.0.5\nm=audio 4000 RTP/AVP 0"
    got = rewritten(parse_sdp(body), {0: Relayed("198.51.100.1", 40000, 40009)}, mark=False)
    assert got.endswith(b"m=audio 40000 RTP/AVP 0\r\na=rtcp:40009\r\n")


def test_candidates_of_the_relay_come_last_and_lowest() -> None:
    own = b"a=candidate:1 1 UDP 2130706431 10.0.0.5 4000 typ host\r\n"
    body = b"v=0\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\na=ice-ufrag:abcd\r\n" + own + b"a=x\r\n"
    got = rewritten(parse_sdp(body), {0: Relayed("198.51.100.1", 40000, 40001)}, mark=False)
    lines = got.split(b"\r\n")
    place = lines.index(own.rstrip())
    assert [line.split()[1:6] for line in lines[place + 1 : place + 3]] == [
        [b"1", b"UDP", b"511", b"198.51.100.1", b"40000"],
        [b"2", b"UDP", b"510", b"198.51.100.1", b"40001"],
    ]
    assert lines[place + 3] == b"a=x"


def test_the_mark_of_an_earlier_relay_is_not_doubled() -> None:
    body = b"v=0\r\nc=IN IP4 10.0.0.5\r\na=nortpproxy:yes\r\nm=audio 4000 RTP/AVP 0\r\n"
    assert rewritten(parse_sdp(body), {0: Relayed("10.0.0.9", 40000, 40001)}).count(b"nortpproxy") == 1
