"""Where in a TOML text an option stands: tomllib tells values but no lines.

A light scan: it follows section headers and keys at the start of a line and steps over strings and arrays
that span lines. A key inside an inline table is found at the line of that table.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_DOTTED = rf"({_PART}(?:\s*\.\s*{_PART})*)"
_HEADER = re.compile(rf"^\s*\[\s*{_DOTTED}\s*\]\s*$")
_KEY = re.compile(rf"^\s*{_DOTTED}\s*=")
_STRINGS = re.compile(r'"""(?s:.*?)"""|\'\'\'(?s:.*?)\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*')


class Source:
    """The lines of one configuration file by section and key."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        for path, line in _keys(text):
            for depth in range(1, len(path) + 1):
                self._lines.setdefault(path[:depth], line)

    def line(self, *path: str) -> int:
        """Line of the key that this path of table names leads to, else of its table, else 1."""
        for depth in range(len(path), 0, -1):
            if path[:depth] in self._lines:
                return self._lines[path[:depth]]
        return 1


def _keys(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Every header and key with its line; what stands inside texts and comments is not seen."""
    section: tuple[str, ...] = ()
    depth = 0
    originals = text.split("\n")
    for number, line in enumerate(_blank(text).split("\n"), 1):
        if depth == 0:
            if header := _HEADER.match(line):
                section = _path(originals[number - 1][slice(*header.span(1))])
                yield section, number
                continue
            if key := _KEY.match(line):
                yield section + _path(originals[number - 1][slice(*key.span(1))]), number
        depth = max(0, depth + line.count("[") + line.count("{") - line.count("]") - line.count("}"))


def _blank(text: str) -> str:
    """The text with the inside of strings replaced by spaces and without comments; line breaks are kept, and
    what precedes a comment stays in its column."""

    def spaces(match: re.Match[str]) -> str:
        whole = match[0]
        if whole.startswith("#"):
            return ""
        return whole[0] + re.sub(r"[^\n]", " ", whole[1:-1]) + whole[-1]

    return _STRINGS.sub(spaces, text)


def _path(dotted: str) -> tuple[str, ...]:
    """The names of a dotted key, quotes taken off."""
    found: list[str] = []
    table: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(table, dict):
        ((name, table),) = table.items()
        found.append(name)
    return tuple(found)
