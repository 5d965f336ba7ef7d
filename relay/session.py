"""A relay session: the media lines of one call, from the offer to the end of the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from relay.flows import TARGETS, Options
from relay.line import Heard, Line
from relay.ports import PortsExhausted
from relay.side import Shared, Side, SideRecord

LINES = 16  # most media lines of a call that are relayed


class LineRecord(NamedTuple):
    """A media line as another node needs it to continue."""

    options: Options
    codec: str
    hears: str
    near: SideRecord
    far: tuple[SideRecord, ...]


class SessionRecord(NamedTuple):
    """A session as another node needs it; lines that ended are None."""

    name: str
    lines: tuple[LineRecord | None, ...]


class Session:
    """Made by `Relay.open`. Lines are numbered as they were added; a line that ended keeps its number."""

    def __init__(self, name: str, shared: Shared) -> None:
        self.name = name
        self.lines: list[Line | None] = []
        self._options: list[Options] = []
        self._shared = shared

    def add_line(
        self,
        family: int,
        now: float,
        options: Options | None = None,
        *,
        mux: bool = False,
        codec: str = "pcmu",
    ) -> int:
        """A media line with its near side; the number. PortsExhausted if there is no place for it."""
        if len(self.lines) >= LINES:
            raise PortsExhausted(f"more than {LINES} media lines")
        options = options or Options()
        near = Side("", self.name, len(self.lines), self._shared, family, options, mux=mux, now=now)
        self.lines.append(Line(near, options.clock, codec))
        self._options.append(options)
        return len(self.lines) - 1

    def add_side(self, line: int, name: str, family: int, now: float, *, mux: bool = False) -> Side:
        """The side of a phone that may answer. PortsExhausted if there is no place for it."""
        joined = self.line(line)
        if len(joined.far) >= TARGETS:
            raise PortsExhausted(f"more than {TARGETS} phones at a media line")
        side = Side(name, self.name, line, self._shared, family, self._options[line], mux=mux, now=now)
        joined.join(side)
        return side

    def line(self, number: int) -> Line:
        """KeyError if it ended or never was."""
        found = self.lines[number] if 0 <= number < len(self.lines) else None
        if found is None:
            raise KeyError(number)
        return found

    def drop_line(self, number: int, now: float) -> None:
        """End one media line; KeyError if it ended before."""
        self.line(number).close(now)
        self.lines[number] = None

    def sides(self) -> Iterator[Side]:
        """All sides of all lines."""
        for line in self.lines:
            if line is not None:
                yield from line.sides()

    def statistics(self) -> list[tuple[Heard, Heard] | None]:
        """For each line, how the near phone is heard and how it hears; None where nobody does."""
        return [line.statistics() if line is not None else None for line in self.lines]

    def record(self) -> SessionRecord:
        """What another node needs to continue the streams."""
        return SessionRecord(self.name, tuple(
            LineRecord(options, line.codec, line.hears, line.near.record(),
                       tuple(side.record() for side in line.far.values())) if line is not None else None
            for line, options in zip(self.lines, self._options, strict=True)
        ))  # fmt: skip

    def restore(self, record: SessionRecord, now: float) -> None:
        """Continue from a record, on the same ports. PortsExhausted or OSError if one cannot be had."""
        try:
            for number, kept in enumerate(record.lines):
                self._options.append(kept.options if kept is not None else Options())
                self.lines.append(None)
                if kept is not None:
                    self._restore_line(number, kept, now)
        except BaseException:
            self.close(now)
            raise

    def _restore_line(self, number: int, kept: LineRecord, now: float) -> None:
        def side(record: SideRecord) -> Side:
            family = record.local.family
            made = Side(
                record.name, self.name, number, self._shared, family, kept.options, now=now, at=record
            )
            made.restore(record)
            return made

        line = self.lines[number] = Line(side(kept.near), kept.options.clock, kept.codec)
        for far in kept.far:
            line.join(side(far))
        if kept.hears:
            line.hear(kept.hears)

    def close(self, now: float) -> None:
        """End all media lines."""
        for number, line in enumerate(self.lines):
            if line is not None:
                line.close(now)
                self.lines[number] = None
