"""The effective settings as text: each value as TOML, and where it came from."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import orjson

from ops.config.load import Loaded
from ops.config.options import options


def show(loaded: Loaded) -> str:
    """A TOML text with the origin of each value as a comment. Passwords are hidden."""
    return "\n".join(_lines(loaded)) + "\n"


def _lines(loaded: Loaded) -> Iterator[str]:
    section = ""
    for option in options().values():
        if option.section != section:
            if section:
                yield ""
            section = option.section
            yield f"[{section}]"
        value = getattr(getattr(loaded.settings, section), option.name)
        if option.secret and value:
            value = "(hidden)"
        origin = loaded.origin(section, option.name)
        yield f"{option.name} = {toml(masked(value)):<40} # {origin}"


def masked(value: object) -> object:
    """A URL without the password in it; anything else as it is."""
    if isinstance(value, str) and "://" in value and (password := urlsplit(value).password):
        return value.replace(f":{password}@", ":(hidden)@", 1)
    return value


def toml(value: object) -> str:
    """A value as it is written in the file."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # a JSON text, number or truth value is also one of TOML
    return orjson.dumps(value).decode()
