"""The stored form: old nodes read new records and the reverse."""

import pytest

from cluster.location.binding import VERSION, Binding, decode, encode_tail, line, stamped

HEAD = b"%d\n2000\n3000\n1000\n7\ncall@h\nfcm:p:t\n"


def test_what_is_written_is_read() -> None:
    given = Binding(key="<a>", uri="sip:a@h", q=300, path=("<sip:p>",), push={"pn-prid": "t"}, reliable=True)
    read = decode(b"<a>", HEAD % VERSION + encode_tail(given))
    assert read.uri == "sip:a@h" and read.q == 300 and read.path == ("<sip:p>",) and read.reliable
    assert (read.expires_at, read.message_expires_at, read.registered_at) == (2000, 3000, 1000)
    assert (read.cseq, read.call_id, read.prid) == (7, "call@h", "fcm:p:t")


def test_the_tail_does_not_repeat_the_head() -> None:
    given = Binding(key="<a>", uri="sip:a@h", call_id="secret", cseq=9, prid="token", expires_at=5)
    assert encode_tail(given) == b'{"uri":"sip:a@h"}'


def test_unknown_fields_are_ignored_and_missing_ones_have_defaults() -> None:
    read = decode(b"<a>", HEAD % VERSION + b'{"from_the_future":{"x":[1]},"uri":"sip:a@h"}')
    assert read.uri == "sip:a@h" and read.q == 1000 and read.push == {}
    assert decode(b"<a>", HEAD % 0 + b"{}") is not None


@pytest.mark.parametrize(
    "value",
    [b"", b"x", HEAD % (VERSION + 1) + b"{}", HEAD % VERSION + b"no json", HEAD % VERSION + b'{"q":"x"}',
     b"1\nx\n3000\n1000\n7\nc\n\n{}", b"1\n1\n1\n1\n1\n\xff\n\n{}"],
)  # fmt: skip
def test_what_cannot_be_read_is_no_binding(value: bytes) -> None:
    assert decode(b"<a>", value) is None


def test_a_head_line_is_one_line() -> None:
    assert line("a\nb") == "a b"
    assert line("plain") == "plain"


def test_stamped_is_what_the_script_stores() -> None:
    stored = stamped(Binding(key="<a>", uri="sip:a@h"), 1000, 60, 10, "c", 4)
    assert (stored.expires_at, stored.message_expires_at, stored.registered_at) == (1060, 1060, 1000)
    assert stamped(stored, 1000, 60, 90, "c", 4).message_expires_at == 1090
    assert (stored.call_id, stored.cseq) == ("c", 4)
