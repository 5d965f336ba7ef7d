"""What devices have taken, until the store knows it too.

The store tries for some seconds to be told. When it was away for longer, the mark is kept here and told again
once a claim brings the message back, so that an outage of the store makes no phone see a message twice.

A drain collects what a device that answers fast says to one message after the other, and tells it together:
that halves what a delivery costs. A node that is killed meanwhile takes the answers of `LINGER` with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from cluster.messages.pending import Mark
from node.fork.response_context import UNREACHABLE

if TYPE_CHECKING:
    from cluster.errors import StoreUnavailable
    from cluster.messages.pending import Owed
    from node.messages.kept import Messages

MOST = 20_000
LINGER = 0.02  # seconds that an answer may wait for others
TOGETHER = 10  # answers that are told at once at the latest
Key = tuple[str, str, str]
Done = Callable[[], None]


class Marks:
    """The marks of one node that the store has not confirmed."""

    __slots__ = ("_collected", "_failed", "_store", "_telling")

    def __init__(self, store: Messages) -> None:
        self._store = store
        self._telling: dict[Key, Done | None] = {}
        self._failed: OrderedDict[Key, int] = OrderedDict()
        self._collected: dict[str, list[tuple[Key, int]]] = {}

    def __len__(self) -> int:
        return len(self._telling) + len(self._failed)

    def confirm(self, owed: Owed, aor: str, status: int, done: Done | None = None) -> None:
        """The final status of a device that will not be asked again. `done()` when the store has answered."""
        self._tell((aor, owed.pending.id, owed.device), status, done)

    def collect(self, owed: Owed, aor: str, status: int, done: Done) -> bool:
        """The same, told together with others when `flush` is called. True for the first of them."""
        key = (aor, owed.pending.id, owed.device)
        self._telling[key] = done
        collected = self._collected.get(aor)
        if collected is None:
            self._collected[aor] = [(key, status)]
            return True
        collected.append((key, status))
        if len(collected) >= TOGETHER:
            self.flush(aor)
        return False

    def flush(self, aor: str) -> None:
        """The store is told what was collected for an address of record."""
        collected = self._collected.pop(aor, None)
        if collected is not None:
            marks = [Mark(message, device, status) for (_, message, device), status in collected]
            self._store.confirm(aor, marks, partial(self._told_all, collected))

    def note(self, owed: Owed, aor: str, status: int) -> None:
        """A device that could not be asked: told for operators only, and closes nothing."""
        status = status if status in UNREACHABLE else 503
        self._store.confirm(aor, (Mark(owed.pending.id, owed.device, status),), _ignore)

    def known(self, owed: Owed, aor: str) -> bool:
        """Whether the device has answered already."""
        key = (aor, owed.pending.id, owed.device)
        if key in self._telling:
            return True
        status = self._failed.pop(key, 0)
        if status:
            self._tell(key, status)
        return bool(status)

    def _tell(self, key: Key, status: int, done: Done | None = None) -> None:
        self._telling[key] = done
        aor, message, device = key
        self._store.confirm(aor, (Mark(message, device, status),), partial(self._told, key, status))

    def _told_all(self, collected: list[tuple[Key, int]], failure: StoreUnavailable | None) -> None:
        for key, status in collected:
            self._told(key, status, failure)

    def _told(self, key: Key, status: int, failure: StoreUnavailable | None) -> None:
        done = self._telling.pop(key, None)
        if failure is not None:
            self._failed[key] = status
            if len(self._failed) > MOST:
                self._failed.popitem(last=False)
        if done is not None:
            done()


def _ignore(_: StoreUnavailable | None) -> None:
    """A note that is lost is not missed."""
