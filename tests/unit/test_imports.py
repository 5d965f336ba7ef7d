"""The rooms import downwards only: ops -> node -> {cluster, relay}; the lower two import nothing of ours."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("cluster", "node", "relay", "ops")
MAY_IMPORT = {
    "cluster": {"cluster"},
    "relay": {"relay"},
    "node": {"node", "cluster", "relay"},
    "ops": {"ops", "node", "cluster", "relay"},
}
# The protocol core: bytes and `now` in, bytes and deadlines out.
SANS_IO = ("node/sip", "node/transaction")
NOT_SANS_IO = {"asyncio", "socket", "time", "logging", "random", "threading", "select", "ssl", "uvloop"}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(file: Path) -> Iterator[tuple[str, int]]:
    for statement in ast.walk(ast.parse(file.read_text())):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield alias.name, statement.lineno
        elif isinstance(statement, ast.ImportFrom):
            assert statement.level == 0, f"{file}:{statement.lineno}: write imports in full"
            yield statement.module or "", statement.lineno


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_imports_upwards(room: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files(room)
        for module, line in imports(file)
        if module.split(".")[0] in {*ROOMS, "tests", "loadtests"} - MAY_IMPORT[room]
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", SANS_IO)
def test_the_protocol_core_reads_no_clock_and_opens_no_socket(folder: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files(folder)
        for module, line in imports(file)
        if module.split(".")[0] in NOT_SANS_IO
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_each_package_has_a_doormat(room: str) -> None:
    packages = {file.parent for file in files(room)}
    bare = [
        str(package.relative_to(ROOT))
        for package in sorted(packages)
        if not (package / "__init__.py").is_file()
        or not ast.get_docstring(ast.parse((package / "__init__.py").read_text()))
    ]
    assert bare == []
