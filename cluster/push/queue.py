"""The push queue in Redis: what the scripts beside this file do, as methods with callbacks.

Who has a push is noted beside the stream: a dispatcher (`take`, under its fence) or the node that seized it.
Whoever is done with it confirms it; of two who do only one is told that it was still there.

Every `done` gets the script's reply, or StoreUnavailable; it must not raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cluster.push.partition import channel_of, stream_key
from cluster.push.push import Push, encode
from cluster.redis.link import Done, Word
from cluster.redis.script import Script
from cluster.redis.store import Store

SEIZED_MS = 10_000  # that a push is left to the node that seized it
HERE = Path(__file__).parent


def _script(name: str) -> Script:
    return Script.read(HERE / f"{name}.lua")


_SUBMIT, _TAKE, _CONFIRM, _ALIVE = _script("submit"), _script("take"), _script("confirm"), _script("alive")
_SEIZE, _ORPHANS, _WITHDRAW = _script("seize"), _script("orphans"), _script("withdraw")
_SCHEDULE, _DUE = _script("schedule"), _script("due")


class PushQueue:
    """All partitions."""

    def __init__(self, store: Store, prefix: str, node: str, longest: int) -> None:
        """`node` is who seizes and dispatches here; `longest` is the most pushes in a partition."""
        self._store = store
        self._prefix = prefix
        self._node = node
        self._longest = longest

    def _run(self, script: Script, partition: int, words: tuple[Word, ...], done: Done) -> None:
        self._store.submit_script(script, stream_key(self._prefix, partition), words, done)

    def submit(self, partition: int, push: Push, done: Done) -> None:
        """-> entry id, or 0 when the partition is full. The same push again is not queued twice."""
        channel = channel_of(self._prefix, partition)
        self._run(_SUBMIT, partition, (push.id, encode(push), self._longest, channel), done)

    def take(self, partition: int, fence: int, cursor: bytes, count: int, done: Done) -> None:
        """-> [greatest fence, now in ms, cursor, entry, push, ...]"""
        self._run(_TAKE, partition, (fence, self._node, cursor, count, SEIZED_MS), done)

    def confirm(self, partition: int, fence: int, pairs: Sequence[tuple[bytes, str]], done: Done) -> None:
        """Pairs of entry and push id; fence 0 for seized ones. -> [greatest fence, 1 or 0, ...]"""
        words = [word for pair in pairs for word in pair]
        self._run(_CONFIRM, partition, (fence, self._node, *words), done)

    def alive(self, partition: int, fence: int, entries: Sequence[bytes], done: Done) -> None:
        """-> [greatest fence, 1 or 0 for each entry]"""
        self._run(_ALIVE, partition, (fence, self._node, *entries), done)

    def seize(self, partition: int, silent_ms: int, ids: Sequence[str], done: Done) -> None:
        """-> for each push its entry id (ours now), 1 (somebody else's) or 0 (done with)"""
        self._run(_SEIZE, partition, (self._node, silent_ms, SEIZED_MS, *ids), done)

    def orphans(self, partition: int, silent_ms: int, age_ms: int, count: int, done: Done) -> None:
        """-> [entry, push, ...]: ours now"""
        self._run(_ORPHANS, partition, (self._node, silent_ms, SEIZED_MS, age_ms, count), done)

    def withdraw(self, partition: int, push_id: str, done: Done) -> None:
        """-> 0 done with, 1 taken back, 2 taken back from who was about to send it"""
        self._run(_WITHDRAW, partition, (push_id,), done)

    def schedule(self, partition: int, member: str, push: Push, due_ms: int, done: Done) -> None:
        """-> 1 if it replaced one"""
        value = push.id.encode() + b"\n" + encode(push)
        self._run(_SCHEDULE, partition, (member, due_ms, value), done)

    def unschedule(self, partition: int, member: str, done: Done) -> None:
        """-> 1 if there was one"""
        self._run(_SCHEDULE, partition, (member, 0, b""), done)

    def due(self, partition: int, fence: int, count: int, done: Done) -> None:
        """-> [greatest fence, how many were queued]"""
        self._run(_DUE, partition, (fence, count), done)
