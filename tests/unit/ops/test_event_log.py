"""Events become JSON lines; the node never waits for the disk."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from cluster.push.events import PushFailed
from ops import event_log
from ops.event_log import EventLog, line


@dataclass(frozen=True, slots=True)
class CallEnded:
    call_id: bytes
    status: int


class Registered(msgspec.Struct, frozen=True):
    aor: str
    tags: frozenset[str]


class Phones(msgspec.Struct, frozen=True):
    aor: str
    devices: tuple[str, ...]


class Refused(NamedTuple):
    status: int


async def test_each_kind_of_record_becomes_one_line(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    log = EventLog(str(file), "n1")
    log.emit(CallEnded(b"a\xff", 200))
    log.emit(Registered("alice@localhost", frozenset({"b", "a"})))
    log.emit(Refused(403))
    await log.close()
    events = [json.loads(text) for text in file.read_text().splitlines()]
    assert [event["event"] for event in events] == ["CallEnded", "Registered", "Refused"]
    assert events[0]["call_id"] == "a\ufffd"
    assert events[1]["tags"] == ["a", "b"]
    assert all(event["node"] == "n1" and event["at"] > 1.6e9 for event in events)


async def test_without_a_target_events_are_counted_only() -> None:
    log = EventLog("", "n1")
    log.emit(Refused(1))
    assert (log.emitted, log.dropped) == (1, 0)
    await log.close()


async def test_what_does_not_fit_is_dropped_and_counted(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(event_log, "CAPACITY", 2)
    log = EventLog(str(tmp_path / "events"), "n1")
    for status in range(5):
        log.emit(Refused(status))
    assert log.dropped == 3
    await log.close()
    assert len((tmp_path / "events").read_text().splitlines()) == 2


async def test_a_rotated_file_is_opened_again(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(event_log, "INTERVAL", 0.001)
    file = tmp_path / "events"
    log = EventLog(str(file), "n1")
    log.emit(Refused(1))
    while not file.exists() or not file.read_text():
        await asyncio.sleep(0.001)
    file.rename(tmp_path / "events.1")
    log.emit(Refused(2))
    while not file.exists():
        await asyncio.sleep(0.001)
    await log.close()
    assert '"status":1' in (tmp_path / "events.1").read_text()
    assert '"status":2' in file.read_text()


async def test_a_full_or_missing_disk_is_one_log_line(tmp_path: Path, caplog) -> None:  # type: ignore[no-untyped-def]
    log = EventLog(str(tmp_path / "none" / "events"), "n1")
    log.emit(Refused(1))
    await log.close()
    assert log.dropped == 1
    assert "[log] events" in caplog.text


def test_a_line_ends() -> None:
    assert line("n", 1.5, Refused(1)) == b'{"at":1.5,"node":"n","event":"Refused","status":1}\n'


def test_a_push_keeps_the_name_of_its_record_and_no_whole_token() -> None:
    failed = PushFailed("1", "apns a", "call", "b@x", "prid:apns:a:740f4acd98e2", "c", "refused", 400, "Bad")
    written = json.loads(line("n", 1.5, failed))
    assert written["event"] == "PushFailed"
    assert written["why"] == "call"
    assert written["device"] == "prid:apns:a:740f4a…"
    registered = Phones("b@x", ("prid:apns:a:740f4acd98e2", "<urn:uuid:1>"))
    assert json.loads(line("n", 1.5, registered))["devices"] == ["prid:apns:a:740f4a…", "<urn:uuid:1>"]
