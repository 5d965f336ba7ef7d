"""A wrong option, as an operator reads it."""

import difflib
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit


class Problem(NamedTuple):
    """One line of complaint: where, which option, what was expected, and the nearest right name."""

    place: str  # "clarion.toml:12" or "environment CLARION_NODE_NAME"
    option: str  # "[registrar] max_contacts"
    message: str  # "expected a whole number from 1, got \"x\""
    remedy: str = ""  # "did you mean max_contacts?"

    @property
    def order(self) -> tuple[bool, int]:
        """Sorts as one reads: down the file, then the environment."""
        line = self.place.rpartition(":")[2]
        return self.place.startswith("environment"), int(line) if line.isdigit() else 0

    def __str__(self) -> str:
        return f"{self.place}: {self.option}: {self.message}" + (f"; {self.remedy}" if self.remedy else "")


def nearest(word: str, known: Iterable[str]) -> str:
    """The remedy for a wrong word: the most similar right one, or all right ones where none is similar."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.55)
    if close:
        return f"did you mean {close[0]}?"
    return "known are " + ", ".join(words)


def shown(value: object) -> str:
    """A value from a file as it is quoted in a message, cut to a readable length."""
    text = (
        f'"{value}"'
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
    return text if len(text) <= 60 else text[:57] + "..."


def masked(value: object) -> object:
    """A URL without the password in it; anything else as it is."""
    if isinstance(value, str) and "://" in value and (password := urlsplit(value).password):
        return value.replace(f":{password}@", ":(hidden)@", 1)
    return value
