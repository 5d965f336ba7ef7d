"""What was last done about each phone that can be woken, by this node: for `clarion explain push`."""

from __future__ import annotations

from collections import OrderedDict

MOST = 20_000


class Journal:
    """The last sentence per device, for the latest `MOST` devices; times are ms on the store's clock."""

    def __init__(self) -> None:
        self._last: OrderedDict[tuple[str, str], tuple[int, str]] = OrderedDict()

    def note(self, aor: str, device: str, now_ms: int, text: str) -> None:
        """Replaces what was noted of that device."""
        self._last[aor, device] = (now_ms, text)
        self._last.move_to_end((aor, device))
        if len(self._last) > MOST:
            self._last.popitem(last=False)

    def last(self, aor: str, device: str) -> tuple[int, str] | None:
        """When, and what; None if nothing is remembered."""
        return self._last.get((aor, device))
