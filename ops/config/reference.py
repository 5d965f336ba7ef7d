"""The reference page of the configuration, written from the typed settings."""

from collections.abc import Iterator

from ops.config.options import Option, families, family_options, options, sections
from ops.config.show import toml

INTRODUCTION = """\
# Configuration reference

<!-- Written by `clarion config reference`; change the settings records, then run `make docs`. -->

Clarion reads one TOML file, `clarion serve --config FILE`, and needs none: every option has a default. An
environment variable `CLARION_SECTION_KEY` overrides its option, like `CLARION_NODE_NAME`; a list is written
with commas there. `clarion config check FILE` names every mistake with its line; `clarion config show FILE`
prints the values in force and where each came from. Durations are seconds, sizes are bytes.

`[apns."NAME"]`, `[fcm."NAME"]` and `[wns."NAME"]` are tables that come once for each app, with its name; a
name with a dot in it needs the quotes. They are set in the file only: no environment variable reaches them.

Other variables: `CLARION_CONFIG` names the configuration file; `CLARION_PURE_PYTHON=1` leaves the compiled
modules unused.
"""


def reference() -> str:
    """The whole page as Markdown."""
    return INTRODUCTION + "\n" + "\n".join(_sections())


def _sections() -> Iterator[str]:
    for section, about in sections().items():
        family = section in families()
        yield f'## [{section}."NAME"]\n' if family else f"## [{section}]\n"
        yield about[:1].upper() + about[1:] + "\n"
        yield "| Option | Default | Value | Meaning |"
        yield "| --- | --- | --- | --- |"
        for option in family_options(section).values() if family else options().values():
            if option.section == section:
                yield _row(option)
        yield ""


def _row(option: Option) -> str:
    return f"| `{option.name}` | `{toml(option.default)}` | {option.expected} | {option.description} |"
