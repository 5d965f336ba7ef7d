"""`clarion messages`: what waits for phones that are away.

clarion messages [AOR]            what waits
clarion messages drop AOR [ID]    it is not wanted any more
clarion messages retry AOR        now, not when its time has come
"""

import sys
from pathlib import Path
from typing import Any

import click

from ops.commands.asking import CONFIG, JSON, SOCKET, asked, dumped, ordered
from ops.waiting import MOST, nothing, retried_text, users_text, waiting_text


class _Messages(click.Group):
    """A word that is no command is an address of record: `clarion messages bob@example.org`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


class _Drop(click.Command):
    """An identity may begin with a dash."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" not in args:
            dashed = [word for word in args if word[:1] == "-" and word[1:2] != "-" and len(word) > 2]
            args = [word for word in args if word not in dashed] + (["--", *dashed] if dashed else [])
        return super().parse_args(ctx, args)


@click.group(name="messages", cls=_Messages, subcommand_metavar="[AOR] | drop AOR [ID] | retry AOR")
def messages_group() -> None:
    """What is stored for phones that are away: of all users, or for AOR (user@domain).

    --json prints JSON, --socket names the admin socket of the node to ask, --config its configuration.
    """


@messages_group.command(name="list", hidden=True)
@click.argument("aor", required=False)
@CONFIG
@SOCKET
@JSON
def list_command(aor: str | None, config: Path | None, socket: Path | None, as_json: bool) -> None:
    """What is stored for AOR, or for whom anything is."""
    user = _user(aor or "")
    answer = asked(config, socket, "messages", *([user] if user else []))
    if as_json:
        click.echo(dumped(answer))
    else:
        click.echo(waiting_text(user, answer) if user else users_text(answer))


@messages_group.command(name="drop", cls=_Drop)
@click.argument("aor")
@click.argument("identity", metavar="[ID]", required=False, default="")
@click.option("--yes", is_flag=True, help="Do not ask.")
@CONFIG
@SOCKET
@JSON
def drop_command(
    aor: str, identity: str, yes: bool, config: Path | None, socket: Path | None, as_json: bool
) -> None:
    """Drop all messages that wait for AOR, or the one whose ID begins so. Nobody gets them any more."""
    user = _user(aor)
    rows = asked(config, socket, "messages", user)
    chosen = _chosen(rows, identity)
    if not chosen:
        click.echo(
            nothing(user) if not rows else f"No message of {user} has an ID that begins with {identity}."
        )
        sys.exit(1)
    if identity and len(chosen) > 1:
        click.echo(f"{len(chosen)} messages of {user} have IDs that begin with {identity}; give more of it.")
        sys.exit(1)
    if not yes:
        click.confirm(_question(user, chosen, identity), abort=True, err=True)
    answer = ordered(config, socket, "messages", user, "drop", *([chosen[0]["id"]] if identity else []))
    count = answer["dropped"]
    click.echo(dumped(answer) if as_json else f"{_messages(count)} dropped.")


@messages_group.command(name="retry")
@click.argument("aor")
@CONFIG
@SOCKET
@JSON
def retry_command(aor: str, config: Path | None, socket: Path | None, as_json: bool) -> None:
    """Deliver what waits for AOR now, from this node, also to phones that did not answer lately."""
    user = _user(aor)
    answer = ordered(config, socket, "messages", user, "retry")
    click.echo(dumped(answer) if as_json else retried_text(user, answer))
    if not answer["tried"]:
        sys.exit(1)


def _user(aor: str) -> str:
    return aor.removeprefix("sips:").removeprefix("sip:")


def _chosen(rows: list[dict[str, Any]], identity: str) -> list[dict[str, Any]]:
    """The messages whose identity begins so; the one that has it wholly goes first."""
    whole = [row for row in rows if row["id"] == identity]
    return whole or [row for row in rows if row["id"].startswith(identity)]


def _question(user: str, chosen: list[dict[str, Any]], identity: str) -> str:
    if identity:
        return f"Drop the message of {chosen[0]['sender']} for {user}?"
    if len(chosen) >= MOST:
        return f"Drop all messages for {user}, {MOST} or more?"
    return f"Drop {_messages(len(chosen))} for {user}?"


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
