"""`clarion demo`: see it work, without any set-up."""

import sys

import click


@click.command(name="demo")
def demo_command() -> None:
    """Play a direct call and a woken one on two nodes, and print what everybody says.

    Brings its own stores, push service and phones, takes a few seconds, and leaves nothing behind.
    """
    from ops.demo.play import run  # the rest of the commands start faster without it

    sys.exit(run())
