"""What a REGISTER asks for."""

from __future__ import annotations

import pytest

from node.registrar.contact import Refused, read_contacts
from node.settings import RegistrarSettings
from node.sip.codec import Message, parse

SETTINGS = RegistrarSettings()


def register(*rows: str) -> Message:
    lines = (
        "REGISTER sip:example.org SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "From: <sip:a@example.org>;tag=1",
        "To: <sip:a@example.org>",
        "Call-ID: c",
        "CSeq: 7 REGISTER",
        *rows,
    )
    return parse(("\r\n".join(lines) + "\r\n\r\n").encode())


def wanted(*rows: str):
    found = read_contacts(register(*rows), SETTINGS)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("rows", "ttl"),
    [
        (("Contact: <sip:a@h>",), 600),
        (("Contact: <sip:a@h>", "Expires: 1800"), 1800),
        (("Contact: <sip:a@h>;expires=900", "Expires: 1800"), 900),
        (("Contact: <sip:a@h>;expires=soon", "Expires: 1800"), 1800),
        (("Contact: <sip:a@h>;expires=99999999999",), 600),
        (("Contact: <sip:a@h>;expires=4000000000",), 86_400),
        (("Contact: <sip:a@h>;expires=0",), 0),
    ],
)
def test_lifetime(rows, ttl):
    assert wanted(*rows)[0].ttl == ttl


def test_too_short_is_refused_with_the_minimum():
    with pytest.raises(Refused) as refused:
        wanted("Contact: <sip:a@h>;expires=5")
    assert refused.value.status == 423
    assert refused.value.insert == b"Min-Expires: 60\r\n"


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ('Contact: <sip:a@h>;+sip.instance="<urn:uuid:1>"', "<urn:uuid:1>"),
        ('Contact: <sip:a@h>;+sip.instance="<urn:uuid:1>";reg-id=2', "<urn:uuid:1>;reg-id=2"),
        ("Contact: <sip:a@h;pn-provider=fcm;pn-param=p;pn-prid=t>", "prid:fcm:p:t"),
        ("Contact: <sip:a@h;line=x9>", "line:x9"),
        ("Contact: <sip:a@h;transport=tcp>", "sip:a@h;transport=tcp"),
        ("Contact: sip:a@h;q=0.2", "sip:a@h"),
    ],
)
def test_device(row, key):
    assert wanted(row)[0].key == key


def test_binding_keeps_what_is_listed_back():
    (contact,) = wanted('Contact: <sip:a@h;pn-prid=t;x=1>;q=0.25;audio;+sip.instance="<urn:1>";expires=99')
    binding = contact.binding(register(), (), "n", "e", "f", True)
    assert binding.uri == "sip:a@h;x=1"
    assert binding.raw_uri == "sip:a@h;pn-prid=t;x=1"
    assert binding.params == ';q=0.25;audio;+sip.instance="<urn:1>"'
    assert (binding.q, binding.cseq, binding.call_id, binding.node) == (250, 7, "c", "n")


def test_several_contacts_in_rows_and_commas():
    assert [c.key for c in wanted("Contact: <sip:a@h>, <sip:b@h>", "m: <sip:c@h>")] == [
        "sip:a@h",
        "sip:b@h",
        "sip:c@h",
    ]


def test_wildcard_is_none_and_no_contact_is_a_question():
    assert read_contacts(register("Contact: *", "Expires: 0"), SETTINGS) is None
    assert read_contacts(register(), SETTINGS) == []
