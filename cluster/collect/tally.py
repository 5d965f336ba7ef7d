"""What a sweep saw, and what it took out."""

from __future__ import annotations

import msgspec


class Tally(msgspec.Struct):
    """Counts of one sweep."""

    keys: int = 0
    users: int = 0
    bindings: int = 0  # expired
    messages: int = 0  # expired
    pending: int = 0
    refused: int = 0  # keys that Redis would not let it look into
    refusal: str = ""  # the first of them, and why
    seconds: float = 0.0

    def refuse(self, key: bytes, error: Exception) -> None:
        """A key is passed over: the next sweep tries it again."""
        self.refused += 1
        self.refusal = self.refusal or f"{key.decode(errors='replace')}: {error}"
