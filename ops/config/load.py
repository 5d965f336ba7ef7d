"""Read the file and the environment; return settings, origins and every problem at once.

The file comes first, `CLARION_SECTION_KEY` variables override it, and what neither says keeps its default.
A wrong value leaves its default in place, so that the rules between options are checked in the same pass.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ops.config.checks import check
from ops.config.options import Option, families, family_options, options, sections, title
from ops.config.problem import Problem, nearest, shown
from ops.config.source import Source
from ops.settings import Settings

OTHER_VARIABLES = ("CLARION_PURE_PYTHON", "CLARION_CONFIG")
Key = tuple[str, str]  # the table as `[title]` shows it, and the option


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
        self.places: dict[str, str] = {}  # where the table of an app begins

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
            elif section in families():
                for app, inner in table.items():
                    self._read_app(section, app, inner, source, name)
            else:
                self._read_section(section, table, source, name)

    def _read_section(self, section: str, table: dict[str, Any], source: Source, name: str) -> None:
        for key, value in table.items():
            place = f"{name}:{source.line(section, key)}"
            option = options().get((section, key))
            if option is None:
                self._unknown(place, section, key, (name for home, name in options() if home == section))
            else:
                self._convert(option, self.values[section], value, place, section)

    def _read_app(self, family: str, app: str, table: object, source: Source, name: str) -> None:
        """One table of a family, `[apns."org.example.app"]`."""
        place = f"{name}:{source.line(family, app)}"
        if not isinstance(table, dict):
            example = title(family, "org.example.app" if family == "apns" else "name-of-the-app")
            self.problem(
                place,
                f"[{family}] {app}",
                "expected a table for each app",
                f"write it below [{example}], with the name of your app",
            )
            return
        known = family_options(family)
        values = self.values[family][app] = {}
        self.places[title(family, app)] = place
        for key, value in table.items():
            place = f"{name}:{source.line(family, app, key)}"
            if key in known:
                self._convert(known[key], values, value, place, title(family, app))
            elif isinstance(value, dict):
                meant = title(family, ".".join((app, *_names_down(key, value, known))))
                self.problem(place, f"[{family}.{app}]", f"unknown table {key}", f"did you mean [{meant}]?")
            else:
                self._unknown(place, title(family, app), key, known)

    def _unknown(self, place: str, table: str, key: str, known: Iterable[str]) -> None:
        self.problem(place, f"[{table}] {key}", "unknown option", nearest(key, known))

    @staticmethod
    def _section_remedy(section: str, table: object) -> str:
        """An option written above every section is told its section, another word the nearest section."""
        homes = [home for home, name in options() if name == section]
        if homes and not isinstance(table, dict):
            return "it belongs into " + " or ".join(f"[{home}]" for home in homes)
        return nearest(section, sections())

    def _convert(self, option: Option, values: dict[str, Any], value: object, place: str, table: str) -> None:
        """Puts the value into `values`, or says what was expected; `table` is what the brackets hold."""
        key = (table, option.name)
        try:
            values[option.name] = msgspec.convert(value, option.type)
            self.loaded.origins[key] = place
            self.wrong.discard(key)
        except msgspec.ValidationError:
            self.wrong.add(key)
            got = "a hidden value" if option.secret else shown(value)
            remedy = nearest(str(value), option.choices) if len(option.choices) > 1 else ""
            self.problem(place, f"[{table}] {option.name}", f"expected {option.expected}, got {got}", remedy)

    def read_environment(self, environment: Mapping[str, str]) -> None:
        by_variable = {option.variable: option for option in options().values()}
        for name, text in environment.items():
            if not name.startswith("CLARION_") or name in OTHER_VARIABLES:
                continue
            if option := by_variable.get(name):
                value = from_text(text, option)
                self._convert(
                    option, self.values[option.section], value, f"environment {name}", option.section
                )
            elif name.split("_")[1].lower() in families():
                self.problem(f"environment {name}", name, "no such option", "apps are set in the file only")
            elif name.split("_")[1].lower() in sections():
                self.problem(f"environment {name}", name, "no such option", nearest(name, by_variable))

    def finish(self) -> Loaded:
        self.loaded.settings = msgspec.convert(self.values, Settings)
        for (section, name), message in check(self.loaded.settings):
            if (section, name) not in self.wrong:
                place = self.loaded.origins.get((section, name)) or self.places.get(section, "default")
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


def _names_down(name: str, table: dict[str, Any], known: Iterable[str]) -> Iterator[str]:
    """What stands unquoted after a family, down to the first table that has an option."""
    yield name
    if not set(table) & set(known):
        for inner, value in table.items():
            if isinstance(value, dict):
                yield from _names_down(inner, value, known)
                return


def _list(word: str) -> object:
    if word.startswith("["):
        try:
            # an IPv6 address in brackets is no TOML list and falls through
            return tomllib.loads(f"value = {word}")["value"]
        except tomllib.TOMLDecodeError:
            pass
    return [part.strip() for part in word.split(",") if part.strip()]
