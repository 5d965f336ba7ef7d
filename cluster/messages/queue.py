"""The queues in Redis, one for each address of record, changed by scripts only.

All keys of an address of record share the hash tag `{user@host}` with its bindings, so that a Redis Cluster
keeps them in one slot: `<prefix>:messages:{user@host}` and `:order` beside it. What is in them is written at
the top of devices.lua; what a script takes and returns, at its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cluster.location.binding import line
from cluster.messages.pending import Mark, Pending
from cluster.messages.record import VERSION, encode
from cluster.redis.connection import Connection
from cluster.redis.link import Done, Word
from cluster.redis.script import Script
from cluster.redis.store import Store

GRACE_MS = 86_400_000  # that keys outlive their last message, so that a collector can still tell of it
LOOKED_AT = 250  # messages that one claim looks at in one script
BEGIN = b"-inf"
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_./-]")  # in a kind, as the scripts count it


def _script(name: str, *, shared: bool = True) -> Script:
    text = Path(__file__).with_name(f"{name}.lua").read_text(encoding="utf-8")
    if shared:
        text = Path(__file__).with_name("devices.lua").read_text(encoding="utf-8") + text
    return Script(text)


_STORE, _CLAIM, _CONFIRM, _DROP, _SWEEP = map(_script, ("store", "claim", "confirm", "drop", "sweep"))
_EXTEND, _RELEASE = _script("extend", shared=False), _script("release", shared=False)
_ALL = (_STORE, _CLAIM, _CONFIRM, _DROP, _SWEEP, _EXTEND, _RELEASE)


class Queue:
    """The scripts as methods. A `done` gets the reply, or a StoreUnavailable; it may be called at once."""

    def __init__(self, store: Store, prefix: str, limit: int) -> None:
        """At most `limit` messages wait for one address of record."""
        self._store = store
        self._limit = limit
        self._prefix = f"{prefix}:messages:".encode()
        self._places = f"{prefix}:aor:".encode()

    def key(self, aor: str) -> bytes:
        return b"%b{%b}" % (self._prefix, _bytes(aor))

    def aor(self, key: bytes) -> str:
        """The address of record of a key, "" where it is no queue."""
        if not key.startswith(self._prefix + b"{") or not key.endswith(b"}"):
            return ""
        return key[len(self._prefix) + 1 : -1].decode(errors="surrogateescape")

    @property
    def pattern(self) -> bytes:
        """What SCAN finds all queues by."""
        escaped = b"".join(b"\\" + bytes([c]) if c in b"*?[]\\" else bytes([c]) for c in self._prefix)
        return escaped + b"{*}"

    def load(self, connection: Connection) -> None:
        """Give a server all scripts: one that is new to it comes later than what was sent after it."""
        for script in _ALL:
            connection.submit(("SCRIPT", "LOAD", script.text), _ignore)

    def store(self, pending: Pending, owed: Sequence[str], closed: Sequence[str], done: Done) -> None:
        kind = _NOT_PLAIN.sub("-", pending.kind)
        words: tuple[Word, ...] = (
            pending.id, pending.rank, pending.expires_at, VERSION, kind, encode(pending), self._limit,
            GRACE_MS, len(owed), *map(_word, owed), *map(_word, closed),
        )  # fmt: skip
        self._run(_STORE, pending.aor, words, done)

    def claim(
        self, aor: str, node: str, ms: int, fence: int, cursor: bytes, seekers: Iterable[Word], done: Done
    ) -> None:
        """`seekers`: "n" or "u", device, how many; and so on."""
        self._run(_CLAIM, aor, (line(node), ms, fence, cursor, VERSION, LOOKED_AT, *seekers), done)

    def extend(self, aor: str, node: str, ms: int, fence: int, done: Done) -> None:
        self._store.submit_script(_EXTEND, self.key(aor), (line(node), ms, fence), done)

    def release(self, aor: str, fence: int, done: Done) -> None:
        self._store.submit_script(_RELEASE, self.key(aor), (fence,), done)

    def confirm(self, aor: str, marks: Iterable[Mark], done: Done) -> None:
        words: list[Word] = []
        for mark in marks:
            words += (mark.id, _word(mark.device), mark.status)
        self._run(_CONFIRM, aor, (*words,), done)

    def drop(self, aor: str, identity: str, done: Done) -> None:
        self._run(_DROP, aor, (identity,), done)

    def sweep(self, aor: str, fence_key: bytes, fence: int, cursor: bytes, count: int, done: Done) -> None:
        self._run(_SWEEP, aor, (fence_key, fence, cursor, count), done)

    def _run(self, script: Script, aor: str, arguments: tuple[Word, ...], done: Done) -> None:
        place = b"%b{%b}" % (self._places, _bytes(aor))
        self._store.submit_script(script, self.key(aor), (place, *arguments), done)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _word(device: str) -> bytes:
    return _bytes(line(device))


def _ignore(_: Any) -> None:
    """A script that could not be loaded is sent with its first call."""
