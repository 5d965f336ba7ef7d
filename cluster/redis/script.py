"""A Lua script and the name (SHA-1 of its text) under which Redis knows it."""

from __future__ import annotations

import hashlib
from pathlib import Path


class Script:
    """Sent as EVALSHA; the whole text goes only to a server that does not know it yet."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    @classmethod
    def read(cls, path: Path) -> Script:
        return cls(path.read_text(encoding="utf-8"))
