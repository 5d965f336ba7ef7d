"""Read the file and the environment; return settings, origins and every problem at once.

The file comes first, `CLARION_SECTION_KEY` variables override it, and what neither says keeps its default.
A wrong value leaves its default in place, so that the rules between options are checked in the same pass.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ops.config.checks import check
from ops.config.options import Option, options, sections
from ops.config.problem import Problem, nearest, shown
from ops.config.source import Source
from ops.settings import Settings

OTHER_VARIABLES = ("CLARION_PURE_PYTHON", "CLARION_CONFIG")
Key = tuple[str, str]


@dataclass(slots=True)
class Loaded:
    """What was read: the settings, where each value came from, and what is wrong."""

    settings: Settings = field(default_factory=Settings)
    origins: dict[Key, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def origin(self, section: str, name: str) -> str:
        """`file:line`, the environment variable, or `default`."""
        return self.origins.get((section, name), "default")

    def given(self, section: str, name: str) -> bool:
        """Whether the operator set this option."""
        return (section, name) in self.origins


class _Reading:
    """One pass over file and environment."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, Any]] = {section: {} for section in sections()}
        self.loaded = Loaded()
        self.wrong: set[Key] = set()

    def problem(self, place: str, option: str, message: str, remedy: str = "") -> None:
        self.loaded.problems.append(Problem(place, option, message, remedy))

    def read_file(self, path: Path, name: str) -> None:
        try:
            text = path.read_bytes().decode()
            tables = tomllib.loads(text)
        except OSError as error:
            self.problem(name, "file", f"cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            self.problem(name, "file", f"expected UTF-8 text, byte {error.start} is not")
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"line (\d+)", str(error))
            self.problem(f"{name}:{line[1] if line else 1}", "file", f"is not TOML: {error}")
        else:
            self._read_tables(tables, Source(text), name)

    def _read_tables(self, tables: dict[str, Any], source: Source, name: str) -> None:
        for section, table in tables.items():
            place = f"{name}:{source.line(section)}"
            if section not in sections():
                kind = f"[{section}]" if isinstance(table, dict) else section
                self.problem(place, kind, "unknown section", self._section_remedy(section, table))
            elif not isinstance(table, dict):
                self.problem(place, f"[{section}]", f"expected a section, got {shown(table)}")
            else:
                for key, value in table.items():
                    self._take(section, key, value, f"{name}:{source.line(section, key)}")

    @staticmethod
    def _section_remedy(section: str, table: object) -> str:
        """An option written above every section is told its section, another word the nearest section."""
        homes = [home for home, name in options() if name == section]
        if homes and not isinstance(table, dict):
            return "it belongs into " + " or ".join(f"[{home}]" for home in homes)
        return nearest(section, sections())

    def _take(self, section: str, key: str, value: object, place: str) -> None:
        option = options().get((section, key))
        if option is None:
            names = [name for home, name in options() if home == section]
            self.problem(place, f"[{section}] {key}", "unknown option", nearest(key, names))
            return
        self._convert(option, value, place, f"[{section}] {key}")

    def _convert(self, option: Option, value: object, place: str, title: str) -> None:
        key = (option.section, option.name)
        try:
            self.values[option.section][option.name] = msgspec.convert(value, option.type)
            self.loaded.origins[key] = place
            self.wrong.discard(key)
        except msgspec.ValidationError:
            self.wrong.add(key)
            got = "a hidden value" if option.secret else shown(value)
            remedy = nearest(str(value), option.choices) if len(option.choices) > 1 else ""
            self.problem(place, title, f"expected {option.expected}, got {got}", remedy)

    def read_environment(self, environment: Mapping[str, str]) -> None:
        by_variable = {option.variable: option for option in options().values()}
        for name, text in environment.items():
            if not name.startswith("CLARION_") or name in OTHER_VARIABLES:
                continue
            if option := by_variable.get(name):
                value = from_text(text, option)
                self._convert(option, value, f"environment {name}", f"[{option.section}] {option.name}")
            elif name.split("_")[1].lower() in sections():
                self.problem(f"environment {name}", name, "no such option", nearest(name, by_variable))

    def finish(self) -> Loaded:
        self.loaded.settings = msgspec.convert(self.values, Settings)
        for (section, name), message in check(self.loaded.settings):
            if (section, name) not in self.wrong:
                place = self.loaded.origin(section, name)
                self.problem(place, f"[{section}] {name}", message)
        self.loaded.problems.sort(key=lambda problem: problem.order)
        return self.loaded


def load(path: str | Path | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """Settings of the file at `path` (None: no file) under the environment (None: that of the process).

    Never raises: everything that is wrong is in `problems`.
    """
    reading = _Reading()
    if path is not None:
        reading.read_file(Path(path), str(path))
    reading.read_environment(os.environ if environment is None else environment)
    return reading.finish()


def from_text(text: str, option: Option) -> object:
    """The value that an environment variable means: a list is written `a,b` or as in TOML."""
    word = text.strip()
    if "list" in option.expected and word not in option.expected.split('"')[1::2]:
        return _list(word)
    if option.expected.startswith("a text"):
        return text
    try:
        return tomllib.loads(f"value = {word}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _list(word: str) -> object:
    if word.startswith("["):
        try:
            # an IPv6 address in brackets is no TOML list and falls through
            return tomllib.loads(f"value = {word}")["value"]
        except tomllib.TOMLDecodeError:
            pass
    return [part.strip() for part in word.split(",") if part.strip()]
