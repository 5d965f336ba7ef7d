"""The shapes of RFC 4475 and RFC 5118, and others like them: each file says what is odd about it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from node.sip.errors import ParseError

TORTURE = Path(__file__).parents[3] / "fixtures" / "torture"
NO_CL, NO_MF = "Malformed Content-Length header field", "Max-Forwards that is not a number up to 255"
REASONS = {
    "call_id_empty": "Malformed Call-ID header field",
    "call_id_missing": "Missing Call-ID header field",
    "call_id_twice": "More than one Call-ID header field",
    "call_id_with_space": "Malformed Call-ID header field",
    "content_length_empty": NO_CL,
    "content_length_larger_than_message": "Content-Length larger than the message",
    "content_length_negative": NO_CL,
    "content_length_not_a_number": NO_CL,
    "content_length_overflowing": NO_CL,
    "content_length_twice": "More than one Content-Length header field",
    "cseq_missing": "Missing CSeq header field",
    "cseq_overlarge": "CSeq number not below 2**31",
    "cseq_twice": "More than one CSeq header field",
    "cseq_two_to_the_31st": "CSeq number not below 2**31",
    "cseq_with_another_method": "CSeq method other than that of the request",
    "cseq_with_another_unknown_method": "CSeq method other than that of the request",
    "cseq_with_method_in_another_case": "CSeq method other than that of the request",
    "cseq_without_method": "Malformed CSeq header field",
    "cseq_without_number": "Malformed CSeq header field",
    "cseq_without_space": "Malformed CSeq header field",
    "extra_separators_in_via": "Malformed Via header field",
    "first_header_field_folded": "Malformed Request-Line",
    "from_bracket_unclosed": "Malformed From header field",
    "from_empty": "Malformed From header field",
    "from_missing": "Missing From header field",
    "from_twice": "More than one From header field",
    "from_with_two_values": "Malformed From header field",
    "header_field_name_empty": "Header field name that is not a token",
    "header_field_name_not_ascii": "Header field name that is not a token",
    "header_field_name_with_nul": "Header field name that is not a token",
    "header_field_name_with_space": "Header field name that is not a token",
    "header_field_without_colon": "Header field without a colon",
    "header_fields_1000": "More than 256 header fields",
    "header_without_end": "Header without an empty line at its end",
    "lines_ending_with_lf_alone": "Line end that is not CRLF",
    "mandatory_fields_missing": "Missing From header field",
    "max_forwards_300": NO_MF,
    "max_forwards_negative": NO_MF,
    "max_forwards_not_a_number": NO_MF,
    "max_forwards_twice": "More than one Max-Forwards header field",
    "one_bare_cr": "Line end that is not CRLF",
    "one_line_ending_with_lf_alone": "Line end that is not CRLF",
    "quote_unterminated_in_from_parameter": "Malformed From header field",
    "quote_unterminated_in_to": "Malformed To header field",
    "request_line_folded": "Malformed Request-URI",
    "request_line_with_http_version": "Malformed Request-Line",
    "request_line_with_several_spaces": "Malformed Request-URI",
    "request_line_with_trailing_space": "Malformed Request-Line",
    "request_uri_in_angle_brackets": "Malformed Request-URI",
    "request_uri_missing": "Malformed Request-URI",
    "request_uri_with_nul": "Malformed Request-URI",
    "request_uri_with_space": "Malformed Request-URI",
    "request_uri_without_scheme": "Malformed Request-URI",
    "single_values_repeated": "More than one CSeq header field",
    "to_addr_spec_with_comma": "Malformed To header field",
    "to_missing": "Missing To header field",
    "to_twice": "More than one To header field",
    "to_with_empty_uri": "Malformed To header field",
    "version_seven": "Version Not Supported",
    "version_without_numbers": "Malformed Request-Line",
    "via_port_too_large": "Malformed Via header field",
    "via_quote_unterminated": "Malformed Via header field",
}


def paths(kind: str) -> list[Path]:
    return sorted((TORTURE / kind).glob("*.sip"))


def test_every_refusal_has_its_reason() -> None:
    assert {path.stem for path in paths("refused")} == REASONS.keys()


@pytest.mark.parametrize("path", paths("valid"), ids=lambda path: path.stem)
def test_valid_one_is_forwarded_untouched(codec: ModuleType, path: Path) -> None:
    message = codec.parse(path.read_bytes())
    if not message.is_request:
        assert b"\r\n\r\n" in message.pop_via()
        return
    sent = message.forward(None, b"Via: SIP/2.0/UDP p;branch=z9hG4bKp", -1, b"", 0)
    length = b"" if message.has("content-length") else b"Content-Length: %d\r\n" % len(message.body)
    assert sent.replace(b"\r\nVia: SIP/2.0/UDP p;branch=z9hG4bKp", b"", 1) == message.raw.replace(
        b"\r\n\r\n", b"\r\n" + length + b"\r\n", 1
    )
    assert codec.parse(sent).values("via")[1:] == message.values("via")


@pytest.mark.parametrize("path", paths("refused"), ids=lambda path: path.stem)
def test_bad_one_is_refused_with_a_reason(codec: ModuleType, path: Path) -> None:
    with pytest.raises(ParseError) as caught:
        codec.parse(path.read_bytes())
    status = 505 if path.stem == "version_seven" else 400
    assert (caught.value.status, caught.value.reason) == (status, REASONS[path.stem])
    assert caught.value.message is not None
    answer = caught.value.message.reply(status, caught.value.reason, b"t", b"192.0.2.15", 5060)
    assert answer.startswith(b"SIP/2.0 %d %b\r\n" % (status, caught.value.reason.encode()))
    assert b"\r\nVia: SIP/2.0/UDP 192.0.2." in answer
    assert answer.lower().count(b"\r\ncall-id:") <= 1
    assert b"\n" not in answer.replace(b"\r\n", b"")


@pytest.mark.parametrize("path", paths("silent"), ids=lambda path: path.stem)
def test_silence(codec: ModuleType, path: Path) -> None:
    with pytest.raises(ParseError) as caught:
        codec.parse(path.read_bytes())
    assert caught.value.message is None


def test_details_of_folds_and_white_space(codec: ModuleType) -> None:
    message = codec.parse((TORTURE / "valid" / "folds_and_white_space_everywhere.sip").read_bytes())
    assert (message.cseq, message.max_forwards, message.body) == (9, 68, b"v=0\r\n")
    assert (message.from_tag, message.to_tag) == (b"98asjd8", b"1918181833n")
    assert (message.via_transport, message.via_host, message.branch) == ("UDP", b"192.0.2.2", b"390skdjuw")
    assert message.next_via() == ("TCP", b"spindle.example.com", 0, b"", 0)
    assert message.via_count == 3
    assert message.first("newfangledheader") == b"newfangled value continued newfangled value"
    assert message.first("subject") == b""


def test_details_of_tag_look_alikes(codec: ModuleType) -> None:
    message = codec.parse((TORTURE / "valid" / "tag_look_alikes.sip").read_bytes())
    assert (message.from_tag, message.from_uri) == (b"right", b"sip:caller@example.net;tag=inside")
