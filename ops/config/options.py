"""The options that exist: one `Option` per field of the settings, with its type in words.

A section is a table of the file, `[push]`; a family is a table for each of several apps, `[apns."name"]`.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, get_args, get_origin

import msgspec
import orjson
from msgspec import inspect

from ops.settings import Settings


class Option(NamedTuple):
    """One key of one section, or of each table of a family."""

    section: str
    name: str
    type: Any  # the annotated Python type, for msgspec.convert
    default: object
    expected: str  # what a value must be, in words
    description: str
    in_family: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that overrides it; none does so in a family."""
        return "" if self.in_family else f"CLARION_{self.section}_{self.name}".upper()

    @property
    def secret(self) -> bool:
        """Whether its value must not be shown."""
        return self.name.endswith("password") or self.name == "secret"

    @property
    def choices(self) -> tuple[str, ...]:
        """The words it may be, empty where it is not one of a few words."""
        kind = _unwrap(inspect.type_info(self.type))
        return tuple(map(str, kind.values)) if isinstance(kind, inspect.LiteralType) else ()


@cache
def sections() -> dict[str, str]:
    """Section or family name -> the sentence that says what it is about."""
    return {
        field.name: (record(field.type).__doc__ or "").split("]`: ", 1)[-1].split("\n")[0]
        for field in msgspec.structs.fields(Settings)
    }


@cache
def families() -> frozenset[str]:
    """The names that stand before an app's: `apns` of `[apns."org.example.app"]`."""
    return frozenset(field.name for field in msgspec.structs.fields(Settings) if _is_family(field.type))


@cache
def options() -> dict[tuple[str, str], Option]:
    """Every option of the sections by (section, name), in the order of the file."""
    return {(option.section, option.name): option for option in _options(family=False)}


@cache
def family_options(family: str) -> dict[str, Option]:
    """The options that each table of a family has, by name."""
    return {option.name: option for option in _options(family=True) if option.section == family}


def _options(*, family: bool) -> Iterator[Option]:
    for section in msgspec.structs.fields(Settings):
        if _is_family(section.type) != family:
            continue
        struct = record(section.type)
        hints = {field.name: field.type for field in inspect_fields(struct)}
        for field in msgspec.structs.fields(struct):
            kind = hints[field.name]
            info = kind.extra_json_schema if isinstance(kind, inspect.Metadata) else None
            description = str((info or {}).get("description", ""))
            expected = in_words(kind)
            yield Option(section.name, field.name, field.type, field.default, expected, description, family)


def title(family: str, app: str) -> str:
    """How a table of a family is written, without the brackets: `apns."org.example.app"`."""
    return f"{family}.{orjson.dumps(app).decode()}"


def record(section_type: Any) -> type[msgspec.Struct]:
    """The settings record of a section, or of each table of a family."""
    kind: type[msgspec.Struct] = get_args(section_type)[1] if _is_family(section_type) else section_type
    return kind


def _is_family(section_type: Any) -> bool:
    return get_origin(section_type) is dict


def inspect_fields(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    """The fields of a settings record with their types taken apart."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    return kind.fields


def in_words(kind: inspect.Type) -> str:
    """What a value of this type is called in a message to an operator."""
    kind = _unwrap(kind)
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    if isinstance(kind, inspect.IntType):
        return "a whole number" + _bounds(kind)
    if isinstance(kind, inspect.FloatType):
        return "a number" + _bounds(kind)
    if isinstance(kind, inspect.LiteralType):
        return " or ".join(f'"{value}"' for value in kind.values)
    if isinstance(kind, inspect.VarTupleType):
        return "a list of texts" + (", at least one" if kind.min_length else "")
    if isinstance(kind, inspect.UnionType):
        return " or ".join(in_words(part) for part in kind.types)
    return "a text" + _pattern(kind)


def _unwrap(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    low = f" above {_plain(kind.gt)}" if kind.gt is not None else ""
    low = f" from {_plain(kind.ge)}" if kind.ge is not None else low
    return low + (f" to {_plain(kind.le)}" if kind.le is not None else "")


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _pattern(kind: inspect.Type) -> str:
    return " of letters, digits, dot, dash and underscore" if getattr(kind, "pattern", None) else ""
