"""The command `clarion`. Exit codes: 0 done, 1 it could not be done, 2 the configuration is wrong."""

import sys
import time
from pathlib import Path

import click

from ops.commands.asking import CONFIG, FILE, JSON, SOCKET, asked, checked, dumped
from ops.commands.demo import demo_command
from ops.commands.explain import explain_group
from ops.commands.messages import messages_group
from ops.commands.push import push_group
from ops.config.credentials import credential_findings
from ops.config.reference import reference
from ops.config.show import show
from ops.tables import registrations_table, status_text
from ops.version import version_text


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
    loaded = checked(file)
    from cluster.push.providers.catalogue import Catalogue  # only here are keys read

    found = list(credential_findings(loaded, Catalogue(loaded.settings.providers()), time.time()))
    for finding in found:
        click.echo(str(finding.problem), err=True)
    if any(finding.fatal for finding in found):
        sys.exit(2)
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


main.add_command(demo_command)
main.add_command(explain_group)
main.add_command(messages_group)
main.add_command(push_group)

if __name__ == "__main__":
    main()
