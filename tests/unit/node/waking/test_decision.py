"""The one place where it is decided whether a phone is rung, woken, or both."""

import pytest

from cluster.location.binding import Binding
from node.settings import WakingSettings
from node.sip.codec import parse
from node.waking.decision import decide, event_of

PUSH = {"pn-provider": "fcm", "pn-param": "4711", "pn-prid": "tok"}
SETTINGS = WakingSettings()
ONLY_VOIP = "its only push token is for calls (VoIP)"


def binding(push: dict[str, str] | None = None, prid: str = "fcm:4711:tok") -> Binding:
    return Binding(key="k", push=PUSH if push is None else push, prid=prid)


def yes(provider: str, app: str) -> str:
    return ""


def test_a_lost_phone_is_woken_at_once() -> None:
    decision = decide(binding(), True, "call", yes, WakingSettings(timeout=5.0))
    assert (decision.ring, decision.wake, decision.after) == (False, True, 0.0)


def test_a_phone_that_may_sleep_on_an_open_connection_is_rung_and_woken() -> None:
    decision = decide(binding(), False, "call", yes, SETTINGS)
    assert (decision.ring, decision.wake, decision.after) == (True, True, 0.0)


@pytest.mark.parametrize(("own", "after"), [("3", 3.0), ("", 2.0), ("x", 2.0), ("99999", 30.0), ("0", 0.0)])
def test_it_has_time_to_answer(own: str, after: float) -> None:
    decision = decide(binding({**PUSH, "pn-timeout": own}), False, "call", yes, WakingSettings(timeout=2.0))
    assert decision.after == after


@pytest.mark.parametrize(
    ("push", "prid", "why"),
    [
        ({}, "", "no push parameters"),
        (PUSH, "fcm:4711:-", "the provider refused its push token"),
        ({"pn-tok": "tok"}, "::tok", "no pn-provider beside its push token"),
        (PUSH | {"pn-provider": "apns", "pn-param": "a.voip"}, "tok", ONLY_VOIP),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_its_remedy(push: dict[str, str], prid: str, why: str) -> None:
    decision = decide(binding(push, prid), False, "message", yes, SETTINGS)
    assert (decision.ring, decision.wake, decision.why) == (True, False, why)
    assert decision.remedy


def test_a_service_that_is_not_set_up_is_named_with_the_remedy_of_the_catalogue() -> None:
    decision = decide(binding(), True, "call", lambda provider, app: f"add [fcm.{app}]", SETTINGS)
    assert not decision.wake and decision.remedy == "add [fcm.4711]"
    assert decide(binding(), True, "call", None, SETTINGS).why == "this node sends no pushes"


def message(method: str, *lines: str, body: str = "", tag: str = ""):
    rows = [
        f"{method} sip:bob@example.org SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
        "From: <sip:a@x.org>;tag=1", f"To: <sip:bob@x.org>{tag}", "Call-ID: 1", f"CSeq: 1 {method}",
        *lines, f"Content-Length: {len(body)}",
    ]  # fmt: skip
    return parse(("\r\n".join(rows) + "\r\n\r\n" + body).encode())


@pytest.mark.parametrize(
    ("request_", "event"),
    [
        (message("INVITE"), "call"),
        (message("INVITE", tag=";tag=2"), None),
        (message("INVITE", "Replaces: 1;to-tag=2;from-tag=3"), None),
        (message("INVITE", "Priority: Non-Urgent"), None),
        (message("INVITE", "Priority: urgent"), "call"),
        (message("MESSAGE", "Content-Type: text/plain", body="x"), "message"),
        (message("MESSAGE", "Content-Type: message/imdn+xml"), None),
        (message("MESSAGE", "Content-Type: Application/im-iscomposing+XML;charset=utf-8"), None),
        (message("MESSAGE", "Content-Type: message/cpim", body="\r\nContent-Type: message/imdn+xml"), None),
        (message("MESSAGE", "Content-Type: message/cpim", body="\r\nContent-Type: text/plain"), "message"),
        (message("MESSAGE", "X-fs-message-type: chat-service"), None),
        (message("NOTIFY", "Event: message-summary"), "summary"),
        (message("NOTIFY", "Event: presence"), None),
        (message("REFER"), "summary"),
        (message("OPTIONS"), None),
    ],
)
def test_which_requests_wake(request_, event) -> None:
    found, why = event_of(request_, SETTINGS)
    assert found == event
    assert bool(why) == (event is None)


def test_message_summaries_can_be_left_out() -> None:
    settings = WakingSettings(message_summaries=False)
    assert event_of(message("NOTIFY", "Event: message-summary"), settings)[0] is None
