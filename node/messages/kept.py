"""What this floor needs of the store of pending messages (`cluster.messages.service.Messages`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from cluster.errors import StoreUnavailable
from cluster.messages.pending import Claimed, Mark, Pending, Seeker, Stored


class Messages(Protocol):
    """Keeps messages until each device has them. Nothing here raises; `done` is called once, in the order of
    the calls, and at once where the store is known to be away."""

    def store(
        self,
        pending: Pending,
        owed: Sequence[str],
        closed: Sequence[str],
        done: Callable[[Stored | StoreUnavailable], None],
        /,
    ) -> None:
        """Keeps a message that the devices `owed` are owed and the devices `closed` have; told when as many
        replicas as configured hold it."""

    def claim(
        self,
        aor: str,
        seekers: Sequence[Seeker],
        count: int,
        done: Callable[[Claimed | StoreUnavailable], None],
        fence: int = 0,
        /,
    ) -> None:
        """The right to deliver what an address of record is owed, with the first `count` messages of each
        device. With a `fence`: the claim is kept for longer, and more is taken."""

    def extend(self, aor: str, fence: int, done: Callable[[bool | StoreUnavailable], None], /) -> None:
        """Keeps a claim for longer; False: it is lost."""

    def release(self, aor: str, fence: int, done: Callable[[bool | StoreUnavailable], None], /) -> None:
        """Gives a claim back; True: somebody asked for it meanwhile, look again."""

    def confirm(
        self, aor: str, marks: Sequence[Mark], done: Callable[[StoreUnavailable | None], None], /
    ) -> None:
        """Devices that are not owed a message any more; tried again inside while the store is away."""
