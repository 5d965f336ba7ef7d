"""The command line: what it prints and its exit codes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ops.banner import banner
from ops.cli import main
from ops.commands import asking
from ops.config.load import load
from ops.config.reference import reference
from ops.tables import collector, span, table

STATUS: dict[str, Any] = {
    "node": {
        "name": "a", "version": "0.1.0", "pid": 7, "uptime": 90061.5, "draining": False,
        "listen": ["udp:127.0.0.1:5060"], "internal": "tcp:127.0.0.1:5070",
    },
    "stores": {"redis": "connected", "etcd": "away"},
    "leader": {"0": "a", "1": "a", "2": "bee", "3": ""},
    "push": {
        "lanes": [
            {"name": "fcm shop", "waiting": 3, "under_way": 1, "blocked": True, "sent": 7, "failed": 2}
        ],
        "counts": {"queued": 10},
    },
    "messages": {"pending": 12, "here": {"drains": 5, "waiting": 3, "delivered": 40}},
    "collector": {"leader": "bee", "last": None},
    "events": {"emitted": 3, "dropped": 0},
    "members": [
        {"name": "a", "internal": "tcp:127.0.0.1:5070", "version": "0.1.0", "draining": False},
        {"name": "bee", "internal": "tcp:127.0.0.1:5170", "version": "0.1.0", "draining": True},
    ],
    "counts": {"requests": {"INVITE": 5}, "errors": 0},
}  # fmt: skip
BINDING = {
    "aor": "alice@localhost", "contact": "sip:alice@127.0.0.1:5080", "expires": 590, "node": "a",
    "device": "<urn:uuid:1>", "user_agent": "Phone/1",
}  # fmt: skip


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(words))
    return result.exit_code, result.output


def answer(monkeypatch: pytest.MonkeyPatch, value: Any) -> list[tuple[str, ...]]:
    asked: list[tuple[str, ...]] = []

    def ask(_: Path, *parts: str) -> Any:
        asked.append(parts)
        return value

    monkeypatch.setattr(asking, "ask", ask)
    return asked


def test_config_check(tmp_path: Path) -> None:
    file = tmp_path / "clarion.toml"
    file.write_text('[node]\nname = "a"\n')
    assert run("config", "check", str(file)) == (0, f"{file}: no problem found\n")
    file.write_text("[node]\nnam = 1\nlisten = 3\n")
    code, output = run("config", "check", str(file))
    assert code == 2
    assert output == (
        f"{file}:2: [node] nam: unknown option; did you mean name?\n"
        f"{file}:3: [node] listen: expected a list of texts, at least one, got 3\n"
    )


def test_serve_refuses_a_wrong_configuration(tmp_path: Path) -> None:
    assert run("serve", "--config", str(tmp_path / "none.toml"))[0] == 2


def test_config_show_and_reference() -> None:
    assert "name = " in run("config", "show")[1]
    assert run("config", "reference") == (0, reference())


def test_status(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, STATUS)
    code, output = run("status")
    assert code == 0
    assert "Node a (serving), Clarion 0.1.0, pid 7, up 1 d 1 h" in output
    assert "etcd away" in output
    assert "bee     tcp:127.0.0.1:5170  0.1.0    draining" in output
    assert re.search(r"requests\.INVITE +5\n", output)
    assert "Dispatch:  a 0-1, bee 2, nobody 3 (who queues a push sends it)" in output
    assert "fcm shop              blocked  3        1          7     2" in output
    assert "Collector: bee\n" in output
    assert "Messages:  12 wait; this node delivers to 2 users, 3 rest" in output
    assert re.search(r"push\.queued +10\n", output)
    assert re.search(r"messages\.delivered +40\n", output)
    assert json.loads(run("status", "--json")[1]) == STATUS


def test_status_without_push_dispatch_or_dispatchers(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, STATUS | {"leader": None, "push": {}, "messages": None, "collector": None})
    assert "Collector: not this node ([storage] collect)" in run("status")[1]
    assert "Messages:  not kept by this node ([messages] enabled)" in run("status")[1]
    assert "Dispatch:  off on this node ([push] enabled)" in run("status")[1]
    answer(monkeypatch, STATUS | {"leader": {}})
    assert "Dispatch:  nobody elected" in run("status")[1]


def test_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, [BINDING])
    code, output = run("registrations", "sip:alice@localhost")
    assert code == 0
    assert asked == [("registrations", "alice@localhost")]
    assert output.splitlines()[1].split() == [
        "alice@localhost", "sip:alice@127.0.0.1:5080", "590", "s", "a", "<urn:uuid:1>", "Phone/1",
    ]  # fmt: skip
    answer(monkeypatch, [])
    assert run("registrations") == (0, "Nobody is registered.\n")


def test_no_node_is_exit_code_1(tmp_path: Path) -> None:
    code, output = run("status", "--socket", str(tmp_path / "s"))
    assert code == 1
    assert output.startswith("clarion: no node answers at ")


def test_version() -> None:
    code, output = run("version")
    assert code == 0
    assert output.startswith("Clarion ")
    assert "SIP codec" in output


def test_the_banner_says_what_to_type_and_that_it_is_open(tmp_path: Path) -> None:
    text = banner(load(None, {}).settings, tmp_path / "ca.pem", True)
    assert "sip:alice@localhost" in text
    assert "sip:127.0.0.1:5060;transport=udp" in text
    assert f"sip:127.0.0.1:5061;transport=tls   (trust {tmp_path}/ca.pem)" in text
    assert "listens on loopback only" in text
    assert "clarion serve --join clarion-data" in text
    exposed = banner(load(None, {"CLARION_NODE_LISTEN": "udp:0.0.0.0:5060"}).settings, None, False)
    assert "anybody who can reach this host" in exposed
    assert "--join" not in exposed


def test_the_last_sweep_is_told() -> None:
    last = {
        "keys": 700,
        "users": 9,
        "bindings": 3,
        "messages": 2,
        "pending": 5,
        "seconds": 0.42,
        "ended_at": 900,
    }
    assert collector({"leader": "a", "last": last}, 960) == (
        "a; last sweep of this node 1 min ago, 700 keys in 0.4 s, 3 bindings and 2 messages had expired"
    )
    assert collector({"leader": "", "last": None}) == "nobody elected; is etcd away?"
    text = collector({"leader": "a", "last": None, "trouble": "Redis is away"})
    assert text == "a; its sweep does not come to an end: Redis is away"


def test_tables() -> None:
    assert table(("A", "B"), [("long", 1), ("x", 22)]) == "A     B\nlong  1\nx     22"
    assert [span(seconds) for seconds in (0, 59.9, 3600, 200000)] == ["0 s", "59 s", "1 h", "2 d 7 h"]
