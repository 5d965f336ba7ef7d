"""Session descriptions: what is read, and what is refused."""

import pytest

from node.media.sdp import SdpError, parse_sdp

LINPHONE = (
    b"v=0\r\n"
    b"o=alice 1 1 IN IP4 10.0.0.5\r\n"
    b"s=Talk\r\n"
    b"c=IN IP4 10.0.0.5\r\n"
    b"t=0 0\r\n"
    b"a=group:BUNDLE as vs\r\n"
    b"m=audio 7078 RTP/AVPF 96 0 8 101\r\n"
    b"a=rtpmap:96 opus/48000/2\r\n"
    b"a=rtcp:7079\r\n"
    b"a=mid:as\r\n"
    b"m=video 9078 RTP/AVP 97\r\n"
    b"c=IN IP6 2001:db8::5\r\n"
    b"a=rtcp-mux\r\n"
    b"a=mid:vs\r\n"
    b"a=sendonly\r\n"
)


def test_reads_addresses_ports_and_what_shares_them() -> None:
    description = parse_sdp(LINPHONE)
    audio, video = description.media
    assert (audio.kind, audio.port, audio.protocol, audio.rtcp, audio.mux) == (
        "audio",
        7078,
        "RTP/AVPF",
        7079,
        False,
    )
    assert audio.formats == ("96", "0", "8", "101")
    assert description.connection_of(audio).address == "10.0.0.5"
    assert description.connection_of(video).address == "2001:db8::5"
    assert (video.mux, description.direction_of(video), description.direction_of(audio)) == (
        True,
        "sendonly",
        "sendrecv",
    )
    assert description.bundles == [("as", "vs")]


def test_line_feeds_alone_and_a_missing_last_line_end_are_read() -> None:
    description = parse_sdp(LINPHONE.replace(b"\r\n", b"\n").rstrip(b"\n"))
    assert [media.port for media in description.media] == [7078, 9078]


def test_t38_is_relayed_and_tcp_is_not() -> None:
    body = b"v=0\r\nc=IN IP4 10.0.0.5\r\nm=image 4000 udptl t38\r\nm=message 9 TCP/MSRP *\r\n"
    image, message = parse_sdp(body).media
    assert image.over_udp
    assert not message.over_udp


def test_hold_of_the_old_kind_is_seen() -> None:
    description = parse_sdp(b"v=0\r\nc=IN IP4 0.0.0.0\r\nm=audio 4000 RTP/AVP 0\r\n")
    assert description.held(description.media[0])
    assert description.direction_of(description.media[0]) == "sendonly"


def test_a_rejected_line_needs_no_address_and_bundle_only_is_not_rejected() -> None:
    rejected, bundled = parse_sdp(
        b"v=0\r\nm=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 97\r\nc=IN IP4 10.0.0.5\r\na=bundle-only\r\n"
    ).media
    assert rejected.rejected
    assert not bundled.rejected


def test_sixty_four_media_lines_are_read_and_one_more_is_refused() -> None:
    head, line = b"v=0\r\nc=IN IP4 10.0.0.5\r\n", b"m=audio 4000 RTP/AVP 0\r\n"
    assert len(parse_sdp(head + 64 * line).media) == 64
    with pytest.raises(SdpError, match="more than 64"):
        parse_sdp(head + 65 * line)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "v=0"),
        (b"o=alice\r\n", "v=0"),
        (b"v=0\r\nm=audio 4000 RTP/AVP 0\r\n", "without an address"),
        (b"v=0\r\nc=IN IP4 10.0.0.5\r\nm=audio 70000 RTP/AVP 0\r\n", "no port"),
        (b"v=0\r\nc=IN IP4 10.0.0.5\r\nm=audio -1 RTP/AVP 0\r\n", "no port"),
        (b"v=0\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000/2 RTP/AVP 0\r\n", "several ports"),
        (b"v=0\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000\r\n", "fewer than four"),
        (b"v=0\r\nc=IN IP4 2001:db8::5\r\n", "another family"),
        (b"v=0\r\nc=IN IP4 224.2.1.1/127\r\n", "multicast"),
        (b"v=0\r\nc=IN ATM x\r\n", "IP4 or IP6"),
        (b"v=0\r\nhello world\r\na=x\r\n\r\n", "line 2"),
        (b"v=0\r\na=x\ry\r\n", "line 2"),
        (b"v=0\r\na=" + b"x" * 300_000 + b"\r\n", "longer"),
    ],
)
def test_what_cannot_be_understood_is_refused_as_a_whole(body: bytes, why: str) -> None:
    with pytest.raises(SdpError, match=why):
        parse_sdp(body)


def test_two_hundred_kilobytes_are_read() -> None:
    filler = b"a=x-filler:" + 1000 * b"x" + b"\r\n"
    body = LINPHONE + 190 * filler
    assert len(parse_sdp(body).media) == 2
