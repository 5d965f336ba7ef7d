"""Push addresses of bindings: RFC 8599 parameters and those of older apps."""

import pytest

from cluster.location.binding import Binding
from node.registrar.push import app_of, push_identity
from node.waking.address import PushAddress, push_address


def binding(**push: str) -> Binding:
    named = {name.replace("_", "-"): value for name, value in push.items()}
    return Binding(key="k", push=named, prid=push_identity(named))


CASES = [
    (
        {"pn_provider": "fcm", "pn_param": "4711", "pn_prid": "tok:en&x"},
        PushAddress("fcm", "4711", data="tok:en&x"),
    ),
    (
        {"pn_provider": "apns", "pn_param": "ABCDE12345.a.b.remote&voip", "pn_prid": "r:remote&v:voip"},
        PushAddress("apns", "a.b", voip="v", remote="r"),
    ),
    (
        {"pn_provider": "apns.dev", "pn_param": "ABCDE12345.org.example.app.voip", "pn_prid": "v"},
        PushAddress("apns.dev", "org.example.app", voip="v"),
    ),
    (
        {"pn_provider": "apns", "pn_param": "ABCDE12345.org.example.app", "pn_prid": "r"},
        PushAddress("apns", "org.example.app", remote="r"),
    ),
    (
        {"pn_type": "apple", "app_id": "org.example.app.voip.dev", "pn_tok": "v"},
        PushAddress("apns.dev", "org.example.app", voip="v"),
    ),
    (
        {"pn_type": "apple", "app_id": "org.example.app.prod", "pn_tok": "r"},
        PushAddress("apns", "org.example.app", remote="r"),
    ),
    ({"pn_type": "firebase", "app_id": "4711", "pn_tok": "t"}, PushAddress("fcm", "4711", data="t")),
    ({"pn_type": "wp", "app_id": "ms-app://s", "pn_tok": "https://x"}, PushAddress("wns", "ms-app://s", data="https://x")),
    ({"pn_type": "huawei", "app_id": "1", "pn_tok": "t"}, PushAddress("huawei", "1", data="t")),
    (
        {"pn_provider": "webpush", "pn_param": "", "pn_prid": "https://push.example/1"},
        PushAddress("webpush", "", data="https://push.example/1"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("push", "expected"), CASES)
def test_what_a_contact_says(push: dict[str, str], expected: PushAddress) -> None:
    assert push_address(binding(**push)) == expected


def test_a_contact_without_a_token_has_no_push_address() -> None:
    assert push_address(binding(pn_provider="fcm", pn_param="1")) is None
    assert push_address(Binding(key="k")) is None


def test_a_refused_token_does_not_count_and_the_other_one_still_does() -> None:
    both = binding(pn_provider="apns", pn_param="ABCDE12345.a.b.remote&voip", pn_prid="rr:remote&vv:voip")
    half = Binding(key="k", push=both.push, prid=both.prid.replace("vv", "-"))
    assert push_address(half) == PushAddress("apns", "a.b", remote="rr")
    none = Binding(key="k", push=both.push, prid=half.prid.replace("rr", "-"))
    address = push_address(none)
    assert address is not None and address.dead


@pytest.mark.parametrize(
    ("event", "kind"),
    [("call", "voip"), ("message", "alert"), ("summary", "background"), ("refresh", "background")],
)
def test_which_token_an_event_uses(event: str, kind: str) -> None:
    address = PushAddress("apns", "a.b", voip="v", remote="r")
    assert address.token(event) == (kind, "v" if kind == "voip" else "r")
    assert PushAddress("fcm", "1", data="d").token(event) == ("data", "d")


def test_a_call_without_a_voip_token_is_an_alert_and_a_message_never_uses_the_voip_token() -> None:
    assert PushAddress("apns", "a.b", remote="r").token("call") == ("alert", "r")
    assert PushAddress("apns", "a.b", voip="v").token("message") == ("", "")


@pytest.mark.parametrize(
    ("provider", "param", "app"),
    [
        ("apns", "ABCDE12345.org.example.app.voip", "org.example.app"),
        ("apns", "ABCDE12345.org.example.app.remote&voip", "org.example.app"),
        ("apns.dev", "org.example.app.voip.dev", "org.example.app"),
        ("apns", "org.example.app", "org.example.app"),
        ("fcm", "project-1.voip", "project-1.voip"),
    ],
)
def test_app_of(provider: str, param: str, app: str) -> None:
    assert app_of(provider, param) == app
