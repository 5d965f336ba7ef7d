"""`clarion messages`: what it prints, asks, and tells the node to do."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ops import waiting
from ops.cli import main
from ops.commands import asking
from ops.waiting import retried_text, users_text, waiting_text

AOR = "bob@example.org"
USERS = [{"aor": AOR, "count": 3, "age": 7500}, {"aor": "eve@example.org", "count": 1, "age": None}]
ROWS: list[dict[str, Any]] = [
    {
        "id": "aaaa1111bbbb2222cccc", "sender": "sip:alice@example.org", "age": 65, "expires_in": 600_000,
        "priority": "urgent",
        "owed": [{"device": "<urn:uuid:1>", "tried": 408}, {"device": "<urn:uuid:2>", "tried": None}],
        "had": [],
    },
    {
        "id": "aaaa9999", "sender": "sip:eve@example.org", "age": 5, "expires_in": 59, "priority": "normal",
        "owed": [{"device": "*", "tried": 486}], "had": ["<urn:uuid:2>"],
    },
]  # fmt: skip


class Node:
    """Answers questions and notes orders."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rows: Any = ROWS, answer: Any = None) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.orders: list[tuple[str, ...]] = []
        self.rows, self.answer = rows, answer
        monkeypatch.setattr(asking, "ask", self.ask)
        monkeypatch.setattr(asking, "order", self.order)

    def ask(self, _: Path, *parts: str) -> Any:
        self.asked.append(parts)
        return self.rows

    def order(self, _: Path, *parts: str) -> Any:
        self.orders.append(parts)
        return self.answer


def run(*words: str, typed: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(main, ["messages", *words], input=typed)
    return result.exit_code, result.output


def test_without_a_user_it_lists_users(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, USERS)
    assert run() == (
        0,
        "USER             MESSAGES  FIRST WAITS\n"
        "bob@example.org  3         2 h 5 min\n"
        "eve@example.org  1         -\n",
    )
    assert json.loads(run("--json")[1]) == USERS
    assert node.asked == [("messages",), ("messages",)]


def test_a_user_is_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch)
    code, output = run(f"sip:{AOR}")
    assert code == 0
    lines = output.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["ID", "aaaa1111bbbb", "", "aaaa9999"]
    assert [cell.strip() for cell in lines[1].split("  ") if cell] == [
        "aaaa1111bbbb", "1 min 5 s", "6 d 22 h", "urgent", "sip:alice@example.org",
        "<urn:uuid:1>", "408, did not answer",
    ]  # fmt: skip
    assert lines[2].split() == ["<urn:uuid:2>", "-"]
    assert lines[3].endswith("who registers first  486")
    assert json.loads(run(AOR, "--json")[1]) == ROWS
    assert json.loads(run("--json", AOR)[1]) == ROWS
    assert node.asked == [("messages", AOR)] * 3


def test_help_names_the_commands() -> None:
    code, output = run("--help")
    assert code == 0
    assert "[AOR] | drop AOR [ID] | retry AOR" in output
    assert "drop" in output and "retry" in output
    assert "  list " not in output


def test_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    Node(monkeypatch, [])
    assert run() == (0, "No messages wait.\n")
    assert run(AOR) == (0, f"No messages wait for {AOR}.\n")
    assert "A user has a domain: bob@example.org" in run("bob")[1]


def test_what_is_cut_off_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST", 2)
    assert users_text(USERS).endswith("\nOnly the first 2 users are shown.")
    assert waiting_text(AOR, ROWS).endswith("\nOnly the first 2 messages are shown.")
    assert "Only" not in waiting_text(AOR, ROWS[:1])


def test_drop_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, answer={"dropped": 2})
    code, output = run("drop", AOR, typed="n\n")
    assert code == 1
    assert "Drop 2 messages for bob@example.org?" in output
    assert node.orders == []
    code, output = run("drop", AOR, typed="y\n")
    assert (code, output.splitlines()[-1]) == (0, "2 messages dropped.")
    assert node.orders == [("messages", AOR, "drop")]


def test_drop_one_by_the_beginning_of_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, answer={"dropped": 1})
    assert (
        "Drop the message of sip:alice@example.org for bob@example.org?"
        in run("drop", AOR, "aaaa1", typed="n\n")[1]
    )
    assert run("drop", AOR, "aaaa1", "--yes") == (0, "1 message dropped.\n")
    assert json.loads(run("drop", AOR, "aaaa9999", "--yes", "--json")[1]) == {"dropped": 1}
    assert node.orders == [("messages", AOR, "drop", ROWS[0]["id"]), ("messages", AOR, "drop", "aaaa9999")]


def test_an_id_may_begin_with_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, [ROWS[0] | {"id": "-hy9_x"}], {"dropped": 1})
    assert run("drop", AOR, "-hy9", "--yes") == (0, "1 message dropped.\n")
    assert run("drop", "--yes", AOR, "--", "-hy9")[0] == 0
    assert node.orders == [("messages", AOR, "drop", "-hy9_x")] * 2


def test_drop_of_what_is_not_there_or_not_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch)
    assert run("drop", AOR, "b", "--yes") == (1, f"No message of {AOR} has an ID that begins with b.\n")
    assert run("drop", AOR, "aaaa", "--yes") == (
        1,
        f"2 messages of {AOR} have IDs that begin with aaaa; give more of it.\n",
    )
    node.rows = []
    assert run("drop", AOR, "--yes") == (1, f"No messages wait for {AOR}.\n")
    assert node.orders == []


def test_retry_says_who_is_tried_and_who_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(monkeypatch, answer={"tried": ["<urn:uuid:1>"], "away": ["<urn:uuid:2>"], "stored": True})
    assert run("retry", AOR) == (
        0,
        "Trying <urn:uuid:1> now.\n"
        "<urn:uuid:2> cannot be reached now; it gets its messages when it registers.\n"
        "What is left: clarion messages bob@example.org\n",
    )
    assert node.orders == [("messages", AOR, "retry")]
    node.answer = {"tried": [], "away": ["<urn:uuid:2>"], "stored": True}
    assert run("retry", AOR)[0] == 1


def test_retry_without_devices_or_messages() -> None:
    assert retried_text(AOR, {"tried": [], "away": [], "stored": False}) == f"No messages wait for {AOR}."
    text = retried_text(AOR, {"tried": [], "away": [], "stored": True})
    assert "is registered" in text and f"clarion registrations {AOR}" in text
