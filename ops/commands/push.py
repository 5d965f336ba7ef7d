"""`clarion push`: try a push service out."""

import asyncio
import sys
from pathlib import Path

import click
import msgspec

from ops.commands.asking import CONFIG, JSON, checked, dumped


@click.group(name="push")
def push_group() -> None:
    """Try push services out."""


@push_group.command(name="send")
@click.option(
    "--provider", required=True, help="apns, apns.dev, fcm, wns, webpush or webhook, as in pn-provider."
)
@click.option("--app", default="", help="Bundle identifier, Firebase project, ... as in pn-param.")
@click.option("--prid", required=True, help="The phone's push token, as in pn-prid.")
@click.option(
    "--kind", type=click.Choice(["call", "message", "background"]), default="call", show_default=True
)
@CONFIG
@JSON
def push_send(provider: str, app: str, prid: str, kind: str, config: Path | None, as_json: bool) -> None:
    """Send one push to a phone, at once and without a node, and say what the provider answered."""
    settings = checked(config).settings
    from ops.push_trial import NotSetUp, try_push  # the rest of the commands start faster without it

    try:
        trial = asyncio.run(try_push(settings.providers(), provider, app, prid, kind))  # type: ignore[arg-type]
    except NotSetUp as error:
        click.echo(f"clarion: {error}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(dumped(msgspec.to_builtins(trial)))
    else:
        said = " ".join(str(word) for word in (trial.status, trial.reason) if word) or "nothing"
        click.echo(f"{trial.outcome.capitalize()}: {provider} answered {said} after {trial.milliseconds} ms.")
        click.echo(trial.advice)
    sys.exit(0 if trial.outcome == "accepted" else 1)
