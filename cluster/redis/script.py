"""A Lua script and the name (SHA-1 of its text) under which Redis knows it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cluster.redis.link import Word

_LENGTHS = tuple(b"\r\n$%d\r\n" % length for length in range(1024))


class Script:
    """Sent as EVALSHA; the whole text goes only to a server that does not know it yet."""

    __slots__ = ("_heads", "digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._heads: dict[int, bytes] = {}  # what each call begins with, by its number of arguments

    @classmethod
    def read(cls, path: Path) -> Script:
        return cls(path.read_text(encoding="utf-8"))

    def call(self, key: bytes, arguments: tuple[Word, ...]) -> bytes:
        """The command that runs it, as it goes over the wire. hiredis could pack it as any other, but for a
        REGISTER that would be a tenth of all its instructions."""
        head = self._heads.get(len(arguments))
        if head is None:
            head = self._heads[len(arguments)] = self._head(len(arguments))
        pieces = [head, _length(key), key]
        for word in arguments:
            if isinstance(word, str):
                word = word.encode()
            elif isinstance(word, int):
                word = b"%d" % word
            pieces += (_LENGTHS[len(word)] if len(word) < 1024 else _length(word), word)
        pieces.append(b"\r\n")
        return b"".join(pieces)

    def _head(self, arguments: int) -> bytes:
        digest = self.digest.encode()
        return b"*%d\r\n$7\r\nEVALSHA\r\n$%d\r\n%b\r\n$1\r\n1" % (4 + arguments, len(digest), digest)


def _length(word: bytes) -> bytes:
    return b"\r\n$%d\r\n" % len(word)
