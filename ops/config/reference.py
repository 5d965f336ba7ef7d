"""The reference page of the configuration, written from the typed settings."""

from collections.abc import Iterator

from ops.config.options import options, sections
from ops.config.show import toml

INTRODUCTION = """\
# Configuration reference

<!-- Written by `clarion config reference`; change the settings records, then run `make docs`. -->

Clarion reads one TOML file, `clarion serve --config FILE`, and needs none: every option has a default. An
environment variable `CLARION_SECTION_KEY` overrides its option, like `CLARION_NODE_NAME`; a list is written
with commas there. `clarion config check FILE` names every mistake with its line; `clarion config show FILE`
prints the values in force and where each came from. Durations are seconds, sizes are bytes.

Other variables: `CLARION_CONFIG` names the configuration file; `CLARION_PURE_PYTHON=1` leaves the compiled
modules unused.
"""


def reference() -> str:
    """The whole page as Markdown."""
    return INTRODUCTION + "\n" + "\n".join(_sections())


def _sections() -> Iterator[str]:
    for section, about in sections().items():
        yield f"## [{section}]\n"
        yield about[:1].upper() + about[1:] + "\n"
        yield "| Option | Default | Value | Meaning |"
        yield "| --- | --- | --- | --- |"
        for option in options().values():
            if option.section == section:
                default = f"`{toml(option.default)}`"
                yield f"| `{option.name}` | {default} | {option.expected} | {option.description} |"
        yield ""
