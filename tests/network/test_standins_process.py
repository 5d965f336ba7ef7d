"""Stand-ins as processes of their own, as tests with real nodes use them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.phones.clarion import _toml, clarion_command
from tests.standins.kinds import KINDS
from tests.standins.process import StandInProcess


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_its_options_are_a_configuration(kind: str, tmp_path: Path) -> None:
    with StandInProcess(kind, tmp_path / "standin") as process:
        lines = ["[node]", 'name = "a"', 'domains = ["phones.test"]', f'data = "{tmp_path}/data"']
        for section, values in process.options().items():
            lines += [f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
        config = tmp_path / "clarion.toml"
        config.write_text("\n".join(lines) + "\n")
        told = subprocess.run(
            [*clarion_command(), "config", "check", str(config)], capture_output=True, text=True, timeout=30
        )
    assert told.returncode == 0, told.stdout + told.stderr
    assert kind not in told.stdout, told.stdout  # nothing is wrong with its credentials


def test_it_ends_with_its_stdin(tmp_path: Path) -> None:
    process = StandInProcess("webhook", tmp_path)
    try:
        assert process.process.stdin is not None
        process.process.stdin.close()
        assert process.process.wait(5) == 0
        with pytest.raises(AssertionError, match="is gone"):
            process.fault("slow")
    finally:
        process.stop()


def test_a_wait_ends_in_time_and_says_what_was_refused(tmp_path: Path) -> None:
    with StandInProcess("apns", tmp_path) as process:
        begun = time.monotonic()
        with pytest.raises(AssertionError, match="did not accept 1 pushes: not within"):
            process.wait_push(1, 0.2)
        assert time.monotonic() - begun < 5


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="invalid choice: 'nonsense'"):
        StandInProcess("nonsense", tmp_path)
