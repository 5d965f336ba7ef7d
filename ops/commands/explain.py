"""`clarion explain`: why a phone did not ring."""

import sys
from pathlib import Path

import click

from ops.commands.asking import CONFIG, JSON, SOCKET, asked, dumped
from ops.explained import explained_text


@click.group(name="explain")
def explain_group() -> None:
    """Explain what the node would do, and what it did last."""


@explain_group.command(name="push")
@click.argument("aor")
@CONFIG
@SOCKET
@JSON
def explain_push(aor: str, config: Path | None, socket: Path | None, as_json: bool) -> None:
    """What a call for AOR (user@domain) would do to each of its phones now, and what woke them last.

    For a phone that would not ring it names the first condition that is not met, and what to do about it.
    """
    user = aor.removeprefix("sip:").removeprefix("sips:")
    rows = asked(config, socket, "explain", "push", user)
    click.echo(dumped(rows) if as_json else explained_text(user, rows))
    if not rows:
        sys.exit(1)
