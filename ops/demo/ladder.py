"""The ladder of a call: one column for each who takes part, one line for each message as it arrives."""

import time
from collections.abc import Callable, Sequence

GAP = 18  # characters between two columns
MARGIN = 12  # characters before the first column


class Ladder:
    """Prints lines as things happen. Columns are named once; times are ms since `begin`."""

    def __init__(
        self,
        columns: Sequence[str],
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._columns = list(columns)
        self._write = write
        self._clock = clock
        self._begun = 0.0

    def begin(self, title: str) -> None:
        """Starts a new ladder below a title."""
        self._begun = self._clock()
        heads = " " * MARGIN
        for number, name in enumerate(self._columns):
            heads = heads.ljust(max(0, MARGIN + number * GAP - len(name) // 2)) + name
        self._write(f"\n{title}\n\n{heads}")

    def arrow(self, source: str, destination: str, label: str) -> None:
        """A message that came from one column to another."""
        self._line(
            arrow(self._columns.index(source), self._columns.index(destination), len(self._columns), label)
        )

    def note(self, column: str, text: str) -> None:
        """Something that happened at one column."""
        place = self._columns.index(column)
        bars = list(rails(len(self._columns)))
        bars[place * GAP] = "×"
        # the text stands beside its column, on whichever side there is room
        if place * GAP + len(text) + 2 <= len(bars) or place == 0:
            at = place * GAP + 2
        else:
            at = max(0, place * GAP - 1 - len(text))
        bars[at : at + len(text)] = text
        self._line("".join(bars))

    def _line(self, drawn: str) -> None:
        offset = 1000 * (self._clock() - self._begun)
        self._write(f"{offset:7.1f} ms  {drawn}".rstrip())


def rails(columns: int) -> str:
    """The vertical lines of all columns."""
    return ("│" + " " * (GAP - 1)) * (columns - 1) + "│"


def arrow(source: int, destination: int, columns: int, label: str) -> str:
    """One line of the ladder with an arrow between two columns and its label in the middle."""
    left, right = sorted((source, destination))
    length = (right - left) * GAP - 1  # characters between the two rails
    shaft = f" {label} "[: length - 1].center(length - 1, "─")
    drawn = f"├{shaft}►│" if destination > source else f"│◄{shaft}┤"
    line = rails(columns)
    return line[: left * GAP] + drawn + line[right * GAP + 1 :]
