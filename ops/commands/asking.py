"""What the commands share: their options, the configuration they need, and the node that they ask."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson

from ops.admin_client import AdminUnavailable, ask, order
from ops.config.load import Loaded, load
from ops.place import admin_socket

FILE = click.Path(path_type=Path)
CONFIG = click.option("--config", type=FILE, envvar="CLARION_CONFIG", help="Configuration file (TOML).")
SOCKET = click.option("--socket", type=FILE, help="Admin socket of the node to ask.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def checked(file: Path | None) -> Loaded:
    """The configuration; ends the command with exit code 2 and every problem, if there is one."""
    loaded = load(file)
    for problem in loaded.problems:
        click.echo(str(problem), err=True)
    if loaded.problems:
        sys.exit(2)
    return loaded


def asked(config: Path | None, socket: Path | None, *parts: str) -> Any:
    """What the node answers; ends the command with exit code 1 and a remedy if none does."""
    return _answer(ask, config, socket, parts)


def ordered(config: Path | None, socket: Path | None, *parts: str) -> Any:
    """The same for what the node is told to do."""
    return _answer(order, config, socket, parts)


def _answer(
    question: Callable[..., Any], config: Path | None, socket: Path | None, parts: tuple[str, ...]
) -> Any:
    try:
        return question(socket or admin_socket(checked(config).settings), *parts)
    except AdminUnavailable as error:
        click.echo(f"clarion: {error}", err=True)
        sys.exit(1)


def dumped(answer: object) -> str:
    """Indented JSON."""
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()
