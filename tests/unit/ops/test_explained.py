"""`clarion explain push`: read by somebody tired, at night, with an angry user on the phone."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ops.cli import main
from ops.commands import asking
from ops.explained import explained_text

NOW = 1_800_000_000.0
DEAD: dict[str, Any] = {
    "device": "<urn:uuid:1>",
    "user_agent": "Linphone/5.2",
    "expires_in": 545,
    "reachable": "no: its connection is gone",
    "noted": {"at": int((NOW - 60) * 1000), "text": "no push: it answered 180 after 90 ms"},
    "would": "Nothing would reach it.",
    "unmet": "the provider refused its push token",
    "remedy": "the app has to register with a new token",
    "last": {
        "at": int((NOW - 7500) * 1000),
        "event": "call",
        "kind": "voip",
        "provider": "apns",
        "outcome": "dead",
        "status": 410,
        "reason": "Unregistered",
    },
}
FINE: dict[str, Any] = {
    "device": "sip:bob@192.0.2.1:5060",
    "reachable": True,
    "would": "it rings",
    "unmet": "",
    "remedy": "",
    "last": None,
}


def test_each_phone_says_what_happens_what_is_missing_what_to_do_and_what_was() -> None:
    assert explained_text("bob@example.org", [DEAD, FINE], NOW) == (
        "bob@example.org has 2 phones. If a call came now:\n\n"
        "<urn:uuid:1>  Linphone/5.2  (registered for 9 min 5 s more)\n"
        "  now      Nothing would reach it\n"
        "  missing  The provider refused its push token\n"
        "  do       The app has to register with a new token\n"
        "  reach    No: its connection is gone\n"
        "  here     1 min ago: no push: it answered 180 after 90 ms\n"
        "  last     2 h 5 min ago, a call (voip) by apns: the provider says that this push address is dead;\n"
        "           it answered 410 Unregistered\n\n"
        "sip:bob@192.0.2.1:5060\n"
        "  now      It rings\n"
        "  reach    Yes: its connection is open\n"
        "  last     nothing was pushed to this phone in the last 30 days"
    )


def test_what_a_phone_is_owed_is_counted() -> None:
    text = explained_text(
        "bob@example.org", [DEAD | {"owed": 1}, FINE | {"owed": 12}, FINE | {"owed": 0}], NOW
    )
    assert text.count("  owed     ") == 2
    assert "  owed     1 stored message\n" in text
    assert "  owed     12 stored messages\n" in text
    assert text.endswith("\n\nWhich messages wait, and why: clarion messages bob@example.org")


def test_an_unknown_user_is_told_how_to_list_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ask", lambda *_: [])
    result = CliRunner().invoke(main, ["explain", "push", "bob"])
    assert result.exit_code == 1
    assert "Nobody is registered as bob (a user has a domain: bob@example.org)" in result.output
    assert "clarion registrations" in result.output


def test_it_asks_for_the_user_and_prints_json(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def ask(_: Path, *parts: str) -> Any:
        asked.append(parts)
        return [DEAD]

    monkeypatch.setattr(asking, "ask", ask)
    result = CliRunner().invoke(main, ["explain", "push", "sip:bob@example.org", "--json"])
    assert (result.exit_code, json.loads(result.output)) == (0, [DEAD])
    assert asked == [("explain", "push", "bob@example.org")]
    assert "one phone" in CliRunner().invoke(main, ["explain", "push", "bob@example.org"]).output
