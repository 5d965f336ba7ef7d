"""The queue in Redis: one stream for each partition, changed by scripts only.

All keys of a partition share the hash tag `{push:NN}`, so that a Redis Cluster keeps them in one slot:
`<prefix>:push:{push:07}` is the stream; `:ids` (push id -> entry id), `:claims` (entry id -> who took it upon
himself, when), `:term` (fence, last sign of life and node of the dispatcher), `:later` and `:later:pushes`
(delayed pushes) stand beside it. What a script takes and returns is written at its top.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.push.partition import PARTITIONS, partition_of
from cluster.push.push import Push, encode
from cluster.redis.connection import Connection
from cluster.redis.link import Done, Word
from cluster.redis.script import Script
from cluster.redis.store import Store

MAX_DELAYED = 200_000  # in each partition
BEGIN = b"0-0"
_MOVED_AT_ONCE = 100


def _script(name: str) -> Script:
    return Script.read(Path(__file__).with_name(f"{name}.lua"))


_SUBMIT, _TAKE, _CONFIRM, _ALIVE = map(_script, ("submit", "take", "confirm", "alive"))
_SEIZE, _ORPHANS, _RELEASE, _WITHDRAW = map(_script, ("seize", "orphans", "release", "withdraw"))
_SCHEDULE, _UNSCHEDULE, _DUE = map(_script, ("schedule", "unschedule", "due"))
_ALL = (
    _SUBMIT, _TAKE, _CONFIRM, _ALIVE, _SEIZE, _ORPHANS, _RELEASE, _WITHDRAW, _SCHEDULE, _UNSCHEDULE, _DUE
)  # fmt: skip


class Queue:
    """The scripts as methods. A `done` gets the reply, or a StoreUnavailable; it may be called at once."""

    def __init__(self, store: Store, prefix: str, limit: int) -> None:
        """At most `limit` pushes wait in each partition."""
        self._store = store
        self._limit = limit
        self._keys = tuple(f"{prefix}:push:{{push:{n:02}}}".encode() for n in range(PARTITIONS))
        self.channels = tuple(f"{prefix}:push:{n:02}".encode() for n in range(PARTITIONS))

    def key(self, partition: int) -> bytes:
        """The stream of a partition."""
        return self._keys[partition]

    def load(self, connection: Connection) -> None:
        """Give a server all scripts: one that is new to it comes later than what was sent after it."""
        for script in _ALL:
            connection.submit(("SCRIPT", "LOAD", script.text), _ignore)

    # -- who wants something sent

    def submit(self, push: Push, done: Done, publish: bool = True) -> None:
        """Queue it. The reply is its entry id, or 0: full."""
        n = partition_of(push.token)
        channel = self.channels[n] if publish else b""
        self._run(_SUBMIT, n, (push.id, encode(push), self._limit, channel), done)

    def withdraw(self, push: Push, done: Done) -> None:
        """0: was not there, 1: taken back, 2: taken back, but somebody may be sending it."""
        n = partition_of(push.token)
        self._run(_WITHDRAW, n, (push.id, self.channels[n]), done)

    def schedule(self, member: str, push: Push, due_ms: int, done: Done) -> None:
        """1, or 0: full."""
        n = partition_of(push.token)
        self._run(_SCHEDULE, n, (member, due_ms, push.id, encode(push), MAX_DELAYED), done)

    def unschedule(self, member: str, token: str, done: Done) -> None:
        """1, or 0: there was none."""
        self._run(_UNSCHEDULE, partition_of(token), (member,), done)

    # -- dispatchers

    def take(self, n: int, fence: int, node: str, cursor: bytes, count: int, again: bool, done: Done) -> None:
        """Claim what comes after the cursor; with `again` also what this term has claimed before."""
        self._run(_TAKE, n, (fence, node, cursor, count, b"1" if again else b"0"), done)

    def alive(self, n: int, fence: int, node: str, entries: Iterable[bytes], done: Done) -> None:
        """A sign of life, and a look whether these entries are still ours."""
        self._run(_ALIVE, n, (fence, node, *entries), done)

    def due(self, n: int, fence: int, silent_ms: int, done: Done) -> None:
        """Move delayed pushes whose time has come into the stream."""
        self._run(_DUE, n, (fence, silent_ms, self._limit, _MOVED_AT_ONCE), done)

    def release(self, n: int, who: str, entries: Sequence[bytes], done: Done) -> None:
        """Give back what was claimed."""
        self._run(_RELEASE, n, (who, self.channels[n], *entries), done)

    def confirm(self, n: int, who: str, pairs: Iterable[Word], done: Done) -> None:
        """`pairs`: entry id, push id, entry id, push id, ..."""
        self._run(_CONFIRM, n, (who, *pairs), done)

    # -- nodes, where there is no dispatcher

    def seize(self, n: int, node: str, silent_ms: int, fence: int, ids: Sequence[str], done: Done) -> None:
        """Claim pushes by their ids."""
        self._run(_SEIZE, n, (node, silent_ms, fence, *ids), done)

    def orphans(self, n: int, node: str, age_ms: int, cursor: bytes, count: int, done: Done) -> None:
        """Claim what nobody cares for."""
        self._run(_ORPHANS, n, (node, age_ms, cursor, count), done)

    def _run(self, script: Script, n: int, arguments: tuple[Word, ...], done: Done) -> None:
        self._store.submit_script(script, self._keys[n], arguments, done)


def sentence(reply: Any, limit: int) -> str:
    """What the reply to `submit` means to who asked: "" if it is queued."""
    if isinstance(reply, StoreUnavailable):
        return f"the push could not be queued: {reply.reason}"
    if reply == 0:
        return f"the queue of its partition is full: {limit} pushes wait ([push] max_queue_size)"
    return ""


def _ignore(_: Any) -> None:
    """A script that could not be loaded is sent with its first call."""
