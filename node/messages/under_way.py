"""The copies of messages that are open on this node, so that no device gets one message twice at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.messages.copy import Copy


class UnderWay:
    """Copies by address of record, message and device. Bounded by the transactions of the node."""

    __slots__ = ("_copies",)

    def __init__(self) -> None:
        self._copies: dict[str, dict[tuple[str, str], Copy]] = {}

    def add(self, aor: str, message: str, copy: Copy) -> None:
        """From now on `copy` brings `message` (its identity) to its device; it stands for an earlier one."""
        copies = self._copies.get(aor)
        if copies is None:
            copies = self._copies[aor] = {}
        copies[message, copy.device] = copy

    def remove(self, aor: str, message: str, copy: Copy) -> None:
        """It has ended; nothing happens if it is not here."""
        copies = self._copies.get(aor)
        if copies is not None and copies.get((message, copy.device)) is copy:
            del copies[message, copy.device]
            if not copies:
                del self._copies[aor]

    def get(self, aor: str, message: str, device: str) -> Copy | None:
        """The copy by which that message is on its way to that device."""
        copies = self._copies.get(aor)
        return copies.get((message, device)) if copies is not None else None

    def open(self, aor: str) -> tuple[Copy, ...]:
        """The copies for an address of record, in the order in which they were sent."""
        copies = self._copies.get(aor)
        return () if copies is None else tuple(copies.values())

    def __len__(self) -> int:
        return sum(map(len, self._copies.values()))
