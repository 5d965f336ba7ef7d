"""Events that an operator must read are log lines, each with all of its fields."""

import msgspec
import pytest

from cluster import events
from cluster.collect import events as collect_events
from cluster.collect.events import BindingExpired
from cluster.messages import events as message_events
from cluster.messages.events import MessageExpired, MessageNotKept
from cluster.push import events as push_events
from cluster.push.events import DispatcherElected, PushAddressDead, PushFailed
from ops import notices
from ops.notices import NOTICES, notice, ranges


@pytest.mark.parametrize("kind", NOTICES, ids=lambda kind: kind.__name__)
def test_each_line_can_be_written(kind: type[msgspec.Struct], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    notices._last.clear()
    notice(kind(**{name: f"<{name}>" for name in kind.__struct_fields__}))
    assert "<" in caplog.text


def test_every_event_of_the_cluster_has_a_line() -> None:
    kinds = {
        kind
        for module in (events, push_events, message_events, collect_events)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, events.Event)
    }
    assert kinds - {events.Event, BindingExpired} <= NOTICES.keys()  # that one is routine


def test_other_events_are_silent(caplog: pytest.LogCaptureFixture) -> None:
    notice(object())
    assert caplog.text == ""


def test_a_push_token_is_cut_and_what_was_done_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    device = "prid:apns:org.example.app:740f4acd98e2"
    notice(PushAddressDead("bob@example.org", device, "apns", "Unregistered", True))
    assert "740f4acd98e2" not in caplog.text
    assert "device prid:apns:org.example.app:740f4a…: apns says" in caplog.text
    assert "taken out of the binding: yes" in caplog.text
    notice(PushAddressDead("bob@example.org", device, "apns", "Unregistered", False))
    assert "no, the phone has registered it again since" in caplog.text


def test_partitions_are_written_as_ranges(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    notice(DispatcherElected((0, 1, 2, 7)))
    assert "partitions 0-2, 7" in caplog.text
    assert ranges(()) == "none"


def failed(outcome: str, lane: str = "fcm shop", reason: str = "QUOTA") -> PushFailed:
    return PushFailed("id", lane, "call", "bob@example.org", "<urn:uuid:1>", "c1", outcome, 400, reason)


def test_failures_of_one_kind_are_one_warning_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices._last.clear()
    now = 1000.0
    monkeypatch.setattr(notices.time, "monotonic", lambda: now)
    for _ in range(5):
        notice(failed("refused"))
    notice(failed("refused", lane="fcm other"))
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    now += 61
    notice(failed("refused"))
    assert len(caplog.records) == 3
    assert "refused: 400 QUOTA; more: clarion explain push bob@example.org" in caplog.text


def not_kept(reason: str) -> MessageNotKept:
    return MessageNotKept("bob@example.org", "sip:alice@example.org", "c1", ("<urn:uuid:1>",), reason)


def test_what_is_not_kept_is_one_warning_a_minute_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    notices._last.clear()
    for reason in ("max_per_user", "max_per_user", "redis"):
        notice(not_kept(reason))
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert (
        "a message of sip:alice@example.org for bob@example.org could not be kept for device <urn:uuid:1>: "
        "as many as [messages] max_per_user wait already; raise it"
    ) in caplog.text


def test_an_expired_message_names_sender_recipient_and_devices(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    devices = ("prid:apns:org.example.app:740f4acd98e2", "*")
    notice(MessageExpired("id", "bob@example.org", "sip:alice@example.org", "c1", devices, 60.0))
    assert caplog.records[0].levelname == "INFO"
    assert "a message of sip:alice@example.org for bob@example.org expired after 60.000 s" in caplog.text
    assert "; device prid:apns:org.example.app:740f4a…, whoever registers first did not get it" in caplog.text


def test_failures_with_an_event_of_their_own_are_quiet(caplog: pytest.LogCaptureFixture) -> None:
    notice(failed("dead"))
    notice(failed("credentials"))
    assert caplog.text == ""


def test_what_is_remembered_of_failures_is_bounded() -> None:
    for number in range(notices.MOST + 10):
        notice(failed("refused", reason=f"reason {number}"))
    assert len(notices._last) == notices.MOST
