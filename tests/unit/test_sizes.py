"""A file holds one noun: at most 400 lines, and functions that fit on a screen."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
# file -> why it may be longer
EXCEPTIONS: dict[str, str] = {
    "node/sip/_codec.pyx": "one compilation unit, so that the C compiler sees all of it",
}
FILES = sorted(
    file
    for room in ("cluster", "node", "relay", "ops")
    for kind in ("*.py", "*.pyx", "*.lua")
    for file in (ROOT / room).rglob(kind)
)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_are_short(file: Path) -> None:
    if str(file.relative_to(ROOT)) not in EXCEPTIONS:
        assert len(file.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.suffix == ".py"], ids=lambda file: str(file.relative_to(ROOT))
)
def test_functions_are_short(file: Path) -> None:
    long = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno > LONGEST_FUNCTION
    ]
    assert long == []
