"""Push parameters: read, identified, and never shown."""

from __future__ import annotations

import pytest

from node.registrar.push import (
    contacts_without_push,
    push_identity,
    push_parameters,
    without_push,
)
from node.sip.uri import parse_uri


def test_read_from_a_contact_uri():
    uri = parse_uri(b"sip:a@h;app-id=x;pn-type=apple;pn-tok=T;transport=tls")
    push = push_parameters(uri)
    assert push == {"app-id": "x", "pn-type": "apple", "pn-tok": "T"}
    assert push_identity(push) == "apple:x:T"


def test_identity_of_rfc_8599_wins():
    assert push_identity({"pn-provider": "fcm", "pn-param": "p", "pn-prid": "t", "pn-tok": "o"}) == "fcm:p:t"
    assert push_identity({"pn-timeout": "5"}) == ""


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"<sip:a@h;pn-prid=T;transport=tls>;q=1", b"<sip:a@h;transport=tls>;q=1"),
        (b"<sip:a@h;transport=tls;pn-silent>", b"<sip:a@h;transport=tls>"),
        (b"<sip:a@h;PN-Prid=T;App-Id=b>", b"<sip:a@h>"),
        (b"<sip:a@h;spn-x=1>", b"<sip:a@h;spn-x=1>"),
    ],
)
def test_taken_out_and_nothing_else_changed(value, left):
    assert without_push(value) == left


def test_only_contact_rows_are_touched():
    raw = (
        b"INVITE sip:x SIP/2.0\r\nX-A: ;pn-prid=1\r\nm: <sip:a@h;pn-prid=1>,\r\n <sip:b@h;pn-tok=2>\r\n\r\n"
        b"m: <sip:a;pn-prid=1>"
    )
    assert contacts_without_push(raw) == (
        b"INVITE sip:x SIP/2.0\r\nX-A: ;pn-prid=1\r\nm: <sip:a@h>,\r\n <sip:b@h>\r\n\r\nm: <sip:a;pn-prid=1>"
    )
