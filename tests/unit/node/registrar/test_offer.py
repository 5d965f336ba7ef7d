"""What the answer to a REGISTER says of push services (RFC 8599 4 and 5)."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from node.registrar.contact import Refused, read_contacts
from node.registrar.offer import PushOffer, left_to_others
from node.settings import RegistrarSettings, WakingSettings
from node.sip.codec import Message, parse
from node.waking.purr import Purr

AOR = "alice@example.com"
PURR = Purr(b"k")
APNS = "pn-provider=apns;pn-param=DEF123GHIJ.com.example.yourexampleapp;pn-prid=00fc13adff78512"


class Offer(NamedTuple):
    provider: str
    vapid: str = ""


UNSPEAKABLE = ("a" * 65, "a%22b$c")  # names that a webhook for all would take
APPS = frozenset({("apns", "com.example.yourexampleapp"), ("fcm", "4711"), ("webpush", "x"), ("house", "")})


class Shelf:
    """Serves two apps, and a webhook named `house` that no phone is told of."""

    def supports(self, provider: str, app: str) -> str:
        return "" if (provider, app) in APPS else "no such app"

    def configured(self, provider: str, app: str) -> bool:
        return (provider, app) in APPS

    def offers(self) -> tuple[Offer, ...]:
        return Offer("apns"), Offer("fcm"), Offer("webpush", "BNbN3OiAT")


def message(*contacts: str, rows: tuple[str, ...] = ()) -> Message:
    lines = (
        "REGISTER sip:example.com SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "From: <sip:alice@example.com>;tag=1",
        "To: <sip:alice@example.com>",
        "Call-ID: c",
        "CSeq: 7 REGISTER",
        *(f"Contact: {contact}" for contact in contacts),
        *rows,
    )
    return parse(("\r\n".join(lines) + "\r\n\r\n").encode())


def answer(*contacts: str, expires: int = 7200, purr: Purr | None = PURR, rows=(), **waking) -> list[str]:
    """The Feature-Caps of the 200. Raises Refused."""
    asked = message(*contacts, rows=(f"Expires: {expires}", *rows))
    wanted = read_contacts(asked, RegistrarSettings())
    assert wanted
    offer = PushOffer(Shelf(), purr, WakingSettings(**waking))
    lines = offer.lines(AOR, offer.check(wanted), left_to_others(asked)).decode().split("\r\n")
    assert lines.pop() == ""
    return lines


def test_the_service_that_was_asked_for_is_confirmed():
    assert answer(f"<sip:alice@h;{APNS}>") == ['Feature-Caps: *;+sip.pns="apns"']


@pytest.mark.parametrize("asking", ["pn-provider", "pn-provider="])
def test_asking_for_all(asking):
    assert answer(f"<sip:alice@h;{asking}>;+sip.pnsreg") == [
        'Feature-Caps: *;+sip.pns="apns"',
        'Feature-Caps: *;+sip.pns="fcm"',
        'Feature-Caps: *;+sip.pns="webpush";+sip.vapid="BNbN3OiAT"',
    ]


def test_asking_for_one():
    assert answer("<sip:alice@h;pn-provider=fcm>") == ['Feature-Caps: *;+sip.pns="fcm"']
    assert answer("<sip:alice@h;pn-provider=acme>") == []


@pytest.mark.parametrize(
    "push",
    [
        "pn-provider=acme;pn-prid=1",
        "pn-provider=apns;pn-param=DEF123GHIJ.com.example.other;pn-prid=1",
        "pn-provider=fcm;pn-prid=1",
        *(f"pn-provider={name};pn-prid=1" for name in UNSPEAKABLE),
    ],
)
def test_what_cannot_be_used_is_refused(push):
    with pytest.raises(Refused) as refused:
        answer(f"<sip:alice@h;{push}>")
    assert (refused.value.status, str(refused.value)) == (555, "Push Notification Service Not Supported")


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:alice@h;pn-provider=acme;pn-prid=1>;expires=0",
        "<sip:alice@h;app-id=other;pn-type=apple;pn-tok=1>",
        "<sip:alice@h>",
    ],
)
def test_what_is_never_refused_and_told_nothing(contact):
    assert answer(contact) == []


def test_a_node_without_any_service_lets_everybody_register_and_promises_nothing(monkeypatch):
    monkeypatch.setattr(Shelf, "offers", lambda _: ())
    assert answer("<sip:alice@h;pn-provider=acme;pn-prid=1;pn-purr>;+sip.pnsreg") == []
    assert answer("<sip:alice@h;pn-provider>") == []


def test_a_service_that_only_a_webhook_serves_is_confirmed():
    assert answer("<sip:alice@h;pn-provider=house;pn-prid=1>") == ['Feature-Caps: *;+sip.pns="house"']


@pytest.mark.parametrize(
    ("expires", "before", "seconds"),
    [(7200, 180, 240), (7200, 10, 121), (7200, 900, 960), (480, 180, None), (481, 180, 240)],
)
def test_an_app_that_renews_by_itself_is_told_when(expires, before, seconds):
    """More than 120 seconds, and before the push that is sent where it does not."""
    (line,) = answer(f"<sip:alice@h;{APNS}>;+sip.pnsreg", expires=expires, wakeup_before=float(before))
    tail = "" if seconds is None else f';+sip.pnsreg="{seconds}"'
    assert line == 'Feature-Caps: *;+sip.pns="apns"' + tail


def test_the_reference_is_that_of_the_device():
    (line,) = answer(f'<sip:alice@h;{APNS};pn-purr>;+sip.instance="<urn:uuid:1>"')
    found = re.fullmatch(r'Feature-Caps: \*;\+sip\.pns="apns";\+sip\.pnspurr="([\w-]+)"', line)
    assert found and PURR.open(found[1]) == (AOR, "<urn:uuid:1>")


def test_no_reference_without_a_secret_or_a_push_address():
    assert answer(f"<sip:alice@h;{APNS};pn-purr>", purr=None) == ['Feature-Caps: *;+sip.pns="apns"']
    assert answer("<sip:alice@h;pn-provider=apns;pn-purr>") == ['Feature-Caps: *;+sip.pns="apns"']


def test_web_push_by_a_webhook_has_no_key_of_ours(monkeypatch):
    monkeypatch.setattr(Shelf, "offers", lambda _: (Offer("apns"),))
    contact = "<sip:alice@h;pn-provider=webpush;pn-param=x;pn-prid=https:%2f%2fpush.example%2f1>"
    assert answer(contact) == ['Feature-Caps: *;+sip.pns="webpush"']


def test_two_contacts_of_one_service_are_told_once():
    fcm = "pn-provider=fcm;pn-param=4711;pn-prid={}"
    assert answer(f"<sip:a@h;{fcm.format(1)}>", f"<sip:b@h;{fcm.format(2)}>") == [
        'Feature-Caps: *;+sip.pns="fcm"'
    ]


def test_what_a_proxy_before_us_has_told_is_not_told_again():
    rows = ('Feature-Caps: *;+sip.pns="apns";+sip.pnsreg="130", *;+SIP.PNS = "fcm"',)
    assert left_to_others(message(rows=rows)) == {"apns", "fcm"}
    assert answer("<sip:alice@h;pn-provider>", rows=rows) == [
        'Feature-Caps: *;+sip.pns="webpush";+sip.vapid="BNbN3OiAT"'
    ]
    assert left_to_others(message(rows=('Feature-Caps: *;+sip.pnsreg="130"',))) == frozenset()
