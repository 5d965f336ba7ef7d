"""One claim on its way: a walk through a long queue takes several scripts, one after the other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from cluster.errors import StoreUnavailable
from cluster.location.binding import line
from cluster.messages.confirms import Confirms
from cluster.messages.pending import Claimed, Owed, Seeker
from cluster.messages.queue import BEGIN, Queue
from cluster.messages.record import decode
from cluster.redis.link import Word

Told = Callable[[Claimed | StoreUnavailable], None]


class Claims:
    """Asks for claims. `changed(aor)`: its record must leave the cache."""

    def __init__(
        self, queue: Queue, confirms: Confirms, node: str, ms: int, changed: Callable[[str], None]
    ) -> None:
        """A claim is given to `node` for `ms`."""
        self._queue = queue
        self._confirms = confirms
        self._node = node
        self._ms = ms
        self._changed = changed

    def claim(self, aor: str, seekers: Sequence[Seeker], count: int, done: Told, fence: int) -> None:
        self._confirms.flush(aor)
        self._ask(aor, seekers, [count] * len(seekers), fence, BEGIN, [], False, done)

    def _ask(
        self,
        aor: str,
        seekers: Sequence[Seeker],
        rooms: list[int],
        fence: int,
        cursor: bytes,
        owed: list[Owed],
        more: bool,
        done: Told,
    ) -> None:
        words: list[Word] = []
        for seeker, room in zip(seekers, rooms, strict=True):
            device = line(seeker.device).encode(errors="surrogateescape")
            words += (b"n" if seeker.named else b"u", device, room)
        delivered = self._confirms.unanswered(
            aor
        )  # as it is now: what is confirmed later is not handed out yet
        told = functools.partial(self._told, aor, seekers, rooms, owed, more, delivered, done)
        self._queue.claim(aor, self._node, self._ms, fence, cursor, words, told)

    def _told(
        self,
        aor: str,
        seekers: Sequence[Seeker],
        rooms: list[int],
        owed: list[Owed],
        more: bool,
        delivered: set[tuple[str, str]],
        done: Told,
        reply: Any,
    ) -> None:
        if isinstance(reply, StoreUnavailable):
            done(reply)
            return
        if not reply[0]:
            done(Claimed(0, reply[1]))
            return
        fence, _, changed, unseen, cursor = reply[:5]
        if changed:
            self._changed(aor)
        rooms = list(rooms)
        for index in range(5, len(reply), 3):
            pending = decode(aor, reply[index].decode(), reply[index + 1])
            for word in reply[index + 2].split():
                rooms[int(word)] -= 1
                device = seekers[int(word)].device
                if pending is not None and (pending.id, device) not in delivered:
                    owed.append(Owed(pending, device))
        if cursor:
            self._ask(aor, seekers, rooms, fence, cursor, owed, more or bool(unseen), done)
        else:
            done(Claimed(fence, 0, (*owed,), more or bool(unseen)))
