"""What a MESSAGE is: kept or not, how urgent, how long, and by which name."""

from __future__ import annotations

import pytest

from cluster.location.binding import Binding
from node.fork.target import Target
from node.messages.kind import for_focus, identity, lifetime, rank, storable
from node.sip.codec import parse

AOR = "bob@example.org"
WEEK = 604_800.0


def message(*lines: str, call_id: str = "c", cseq: int = 1, tag: str = "a", to: str = "", body: str = ""):
    rows = [
        "MESSAGE sip:bob@example.org SIP/2.0", "Via: SIP/2.0/UDP h;branch=z9hG4bK1", "Max-Forwards: 70",
        f"From: <sip:alice@example.org>;tag={tag}", f"To: <sip:bob@example.org>{to}", f"Call-ID: {call_id}",
        f"CSeq: {cseq} MESSAGE", *lines, f"Content-Length: {len(body)}", "", body,
    ]  # fmt: skip
    return parse("\r\n".join(rows).encode())


@pytest.mark.parametrize(
    "lines",
    [(), ("Content-Type: text/plain",), ("Content-Type: message/imdn+xml",), ("Expires: 60",),
     ("Expires: soon",), ("Content-Type: message/cpim",), ("Content-Type: multipart/mixed",)],
)  # fmt: skip
def test_kept(lines: tuple[str, ...]) -> None:
    assert storable(message(*lines))


@pytest.mark.parametrize(
    "lines",
    [("Expires: 0",), ("Expires:  000 ",), ("Content-Type: Application/IM-isComposing+xml;charset=utf-8",)],
)
def test_not_kept(lines: tuple[str, ...]) -> None:
    assert not storable(message(*lines))


def test_composing_within_cpim_is_not_kept() -> None:
    body = "From: <sip:a>\r\n\r\nContent-type: application/IM-iscomposing+xml\r\n\r\n<isComposing/>"
    assert not storable(message("Content-Type: Message/CPIM", body=body))
    assert storable(message("Content-Type: text/plain", body=body))


def test_a_message_of_a_dialog_is_not_kept() -> None:
    assert not storable(message(to=";tag=x"))


def test_a_conference_is_known_by_its_contact() -> None:
    plain, focus = (Target(b"sip:x", binding=Binding(params=text)) for text in (";q=1.0", ";q=1.0;isFocus"))
    assert not for_focus([[plain], [Target(b"sip:y")]])
    assert for_focus([[plain], [plain, focus]])


@pytest.mark.parametrize(
    ("value", "index"),
    [("emergency", 0), ("URGENT", 1), (" normal ", 2), ("non-urgent", 3), ("whatever", 2), ("", 2)],
)
def test_rank(value: str, index: int) -> None:
    assert rank(message(f"Priority: {value}")) == index


def test_rank_without_priority() -> None:
    assert rank(message()) == 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("60", 60.0), ("99999999", WEEK), ("99999999999", WEEK), ("-1", WEEK), ("1.5", WEEK), ("", WEEK)],
)
def test_lifetime(value: str, seconds: float) -> None:
    assert lifetime(message(f"Expires: {value}"), WEEK) == seconds


def test_lifetime_without_expires() -> None:
    assert lifetime(message(), WEEK) == WEEK


def test_identity_is_of_the_request_and_of_nothing_else() -> None:
    same = identity(message(), AOR)
    assert same == identity(message("Subject: by another way"), AOR)
    others = {
        identity(message(call_id="d"), AOR), identity(message(cseq=2), AOR), identity(message(tag="b"), AOR),
        identity(message(), "eve@example.org"), identity(message(), AOR, "sip:bob@example.org;gr=urn:x"),
    }  # fmt: skip
    assert len(others) == 5 and same not in others


def test_identity_may_stand_in_a_key_of_the_store() -> None:
    names = [identity(message(cseq=number), AOR) for number in range(200)]
    assert all(len(name) == 22 and name.replace("-", "").replace("_", "").isalnum() for name in names)
