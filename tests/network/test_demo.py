"""`clarion demo`, as somebody meets it who has just installed it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

LIMIT = 60.0
CALL = (
    ("INVITE", "►"),
    ("100 Trying", "◄"),
    ("180 Ringing", "◄"),
    ("200 OK", "◄"),
    ("ACK", "►"),
    ("BYE", "►"),
    ("200 (BYE)", "◄"),
)


def demo(folder: Path) -> subprocess.Popen[str]:
    """The command, with its temporary files in a folder of the test."""
    clarion = Path(sys.executable).with_name("clarion")
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [str(clarion), "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=folder,
    )


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str, list[str]]]:
    """Exit code, output, and what it left behind."""
    folder = tmp_path_factory.mktemp("demo")
    with demo(folder) as process:
        output, _ = process.communicate(timeout=LIMIT)
    yield process.returncode, output, [path.name for path in folder.iterdir()]


def ladders(output: str) -> list[list[str]]:
    """The lines of both ladders."""
    parts = output.split("\n1. ")[1].split("\n2. ")
    return [
        [line for line in part.splitlines() if " ms  " in line and "push service " not in line]
        for part in parts
    ]


def in_order(lines: list[str], wanted: list[tuple[str, str]]) -> None:
    """These labels with these arrow heads come in this order."""
    rest = iter(lines)
    for label, head in wanted:
        assert any(f" {label} " in line and head in line for line in rest), (label, lines)


def test_both_scenarios_are_played(played: tuple[int, str, list[str]]) -> None:
    code, output, _ = played
    assert code == 0, output
    assert output.splitlines()[-1].startswith("Both calls were made")


def test_the_ladder_of_a_direct_call(played: tuple[int, str, list[str]]) -> None:
    in_order(ladders(played[1])[0], list(CALL))


def test_the_ladder_of_a_woken_call(played: tuple[int, str, list[str]]) -> None:
    lines = ladders(played[1])[1]
    in_order(lines, [("INVITE", "►"), ("110 Push sent", "◄")])
    in_order(
        lines, [("INVITE", "►"), ("POST /token", "►"), ("push", "►"), ("REGISTER", "◄"), ("INVITE", "►")]
    )
    in_order(
        lines, [("110 Push sent", "◄"), ("180 Ringing", "◄"), ("200 OK", "◄"), ("ACK", "►"), ("BYE", "◄")]
    )


def test_nothing_is_left_behind(played: tuple[int, str, list[str]]) -> None:
    assert played[2] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("1. "):
                break
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        rest, _ = process.communicate(timeout=LIMIT)
    assert len(children) == 2
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert list(tmp_path.iterdir()) == []
    # a fast demo may have come to its end before the signal
    assert process.returncode == (1 if "Interrupted" in rest or "did not happen" in rest else 0), rest
