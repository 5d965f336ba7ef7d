"""The command `clarion`. Exit codes: 0 done, 1 it could not be done, 2 the configuration is wrong."""

import sys
from pathlib import Path
from typing import Any

import click
import orjson

from ops.admin_client import AdminUnavailable, ask
from ops.config.load import Loaded, load
from ops.config.reference import reference
from ops.config.show import show
from ops.place import admin_socket
from ops.tables import registrations_table, status_text
from ops.version import version_text

FILE = click.Path(path_type=Path)
CONFIG = click.option("--config", type=FILE, envvar="CLARION_CONFIG", help="Configuration file (TOML).")
SOCKET = click.option("--socket", type=FILE, help="Admin socket of the node to ask.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Clarion, a highly available SIP proxy that wakes phones."""


@main.command()
@CONFIG
@click.option("--join", type=FILE, metavar="FOLDER", help="Run beside the node whose data folder this is.")
def serve(config: Path | None, join: Path | None) -> None:
    """Run a node. Without a configuration it brings its own stores and listens on loopback."""
    from ops.serve import run  # the rest of the commands start faster without it

    sys.exit(run(checked(config), join))


@main.group(name="config")
def config_group() -> None:
    """Check, show and explain the configuration."""


@config_group.command(name="check")
@click.argument("file", type=FILE)
def check_command(file: Path) -> None:
    """Name everything that is wrong in FILE and in the environment."""
    checked(file)
    click.echo(f"{file}: no problem found")


@config_group.command(name="show")
@click.argument("file", type=FILE, required=False, envvar="CLARION_CONFIG")
def show_command(file: Path | None) -> None:
    """Print the values in force and where each came from."""
    click.echo(show(checked(file)), nl=False)


@config_group.command(name="reference")
def reference_command() -> None:
    """Print the reference page of all options as Markdown."""
    click.echo(reference(), nl=False)


@main.command()
@CONFIG
@SOCKET
@JSON
def status(config: Path | None, socket: Path | None, as_json: bool) -> None:
    """What a running node does, and which nodes it sees."""
    answer = asked(config, socket, "status")
    click.echo(dumped(answer) if as_json else status_text(answer))


@main.command()
@click.argument("aor", required=False)
@CONFIG
@SOCKET
@JSON
def registrations(aor: str | None, config: Path | None, socket: Path | None, as_json: bool) -> None:
    """The registered devices of all users, or of AOR (user@domain)."""
    parts = ("registrations", aor.removeprefix("sip:")) if aor else ("registrations",)
    answer = asked(config, socket, *parts)
    click.echo(dumped(answer) if as_json else registrations_table(answer))


@main.command()
def version() -> None:
    """The version, and whether the compiled modules are in use."""
    click.echo(version_text())


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
    try:
        return ask(socket or admin_socket(checked(config).settings), *parts)
    except AdminUnavailable as error:
        click.echo(f"clarion: {error}", err=True)
        sys.exit(1)


def dumped(answer: object) -> str:
    """Indented JSON."""
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()


if __name__ == "__main__":
    main()
