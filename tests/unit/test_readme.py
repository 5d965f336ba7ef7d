"""What README and CONTRIBUTING tell one to type exists."""

import re
from pathlib import Path

import click
import pytest

from ops.cli import main

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md")


def code(page: str) -> str:
    """Everything in code blocks and code spans."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.S)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return "\n".join(blocks + spans)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    named = set(re.findall(r"\bmake ([a-z]+)", code(page)))
    assert named <= targets()


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist_with_their_options(page: str) -> None:
    for line in re.findall(r"\bclarion ([a-z][^\n#|]*)", code(page)):
        command: click.Command = main
        words = line.split()
        while words and isinstance(command, click.Group):
            assert words[0] in command.commands, f"clarion {line}"
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, f"clarion {line}"


@pytest.mark.parametrize("page", PAGES)
def test_files_and_links_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    linked = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert [target for target in linked if not (ROOT / target).exists()] == []


def test_the_readme_names_the_two_commands() -> None:
    assert {"run", "test"} <= set(re.findall(r"\bmake ([a-z]+)", code("README.md")))
