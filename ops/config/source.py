"""Where in a TOML text an option stands: tomllib tells values but no lines.

A light scan: it follows section headers and keys at the start of a line and steps over strings and arrays
that span lines. A key inside an inline table is found at the line of that table.
"""

import re
from collections.abc import Iterator

_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_STRINGS = re.compile(r'"""(?s:.*?)"""|\'\'\'(?s:.*?)\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*')


class Source:
    """The lines of one configuration file by section and key."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, ...], int] = {}
        for path, line in _keys(text):
            self._lines.setdefault(path, line)

    def line(self, section: str, key: str = "") -> int:
        """Line of the key, else of its section, else 1."""
        for path in ((section, key), (section,)):
            if path in self._lines:
                return self._lines[path]
        return 1


def _keys(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Every header and key with its line; what stands inside texts and comments is not seen."""
    section: tuple[str, ...] = ()
    depth = 0
    originals = text.split("\n")
    for number, line in enumerate(_blank(text).split("\n"), 1):
        if depth == 0:
            if header := _HEADER.match(line):
                section = _path(header[1])
                yield section, number
                continue
            # a quoted key is blanked too: read it from the text itself
            if key := _KEY.match(originals[number - 1] if line.lstrip().startswith(('"', "'")) else line):
                path = section + _path(key[1])
                yield path[:1], number
                yield path[:2], number
        depth = max(0, depth + line.count("[") + line.count("{") - line.count("]") - line.count("}"))


def _blank(text: str) -> str:
    """The text with the inside of strings and comments replaced by spaces, line breaks kept."""

    def spaces(match: re.Match[str]) -> str:
        whole = match[0]
        if whole.startswith("#"):
            return ""
        return whole[0] + re.sub(r"[^\n]", " ", whole[1:-1]) + whole[-1]

    return _STRINGS.sub(spaces, text)


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
