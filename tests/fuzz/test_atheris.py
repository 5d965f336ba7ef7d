"""A few seconds of coverage-guided fuzzing in every run; the targets run for as long as one likes."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECONDS = os.environ.get("CLARION_FUZZ_SECONDS", "3")

pytestmark = pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed: not fuzzed")


@pytest.mark.parametrize("target", ["fuzz_codec.py", "fuzz_framing.py"])
def test_target_finds_nothing(target: str, tmp_path: Path) -> None:
    if target == "fuzz_codec.py" and find_spec("node.sip._codec") is None:
        pytest.skip("the codec is not compiled here: there is only one twin")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    command = [
        sys.executable,
        str(HERE / target),
        f"-max_total_time={SECONDS}",
        "-print_final_stats=1",
        str(corpus),
    ]
    paths = os.pathsep.join([str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith("#")]
    assert done.returncode == 0, done.stdout + "\n".join(told)
