"""The effective settings as text: each value as TOML, and where it came from."""

from collections.abc import Iterable, Iterator

import msgspec
import orjson

from ops.config.load import Loaded
from ops.config.options import Option, families, family_options, options, sections, title
from ops.config.problem import masked


def show(loaded: Loaded) -> str:
    """A TOML text with the origin of each value as a comment. Passwords are hidden."""
    return "\n\n".join("\n".join(lines) for lines in _tables(loaded)) + "\n"


def _tables(loaded: Loaded) -> Iterator[Iterable[str]]:
    for section in sections():
        settings = getattr(loaded.settings, section)
        if section in families():
            for app, table in settings.items():
                yield _lines(loaded, title(section, app), table, family_options(section).values())
        else:
            ours = (option for option in options().values() if option.section == section)
            yield _lines(loaded, section, settings, ours)


def _lines(loaded: Loaded, name: str, table: msgspec.Struct, ours: Iterable[Option]) -> Iterator[str]:
    yield f"[{name}]"
    for option in ours:
        value = getattr(table, option.name)
        if option.secret and value:
            value = "(hidden)"
        yield f"{option.name} = {toml(masked(value)):<40} # {loaded.origin(name, option.name)}"


def toml(value: object) -> str:
    """A value as it is written in the file."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # a JSON text, number or truth value is also one of TOML
    return orjson.dumps(value).decode()
