"""Fixtures for tests that need push services in processes of their own: import them in a conftest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.standins.process import StandInProcess

Start = Callable[[str], StandInProcess]


@pytest.fixture
def push_service(tmp_path: Path) -> Iterator[Start]:
    """`push_service("apns")` starts one; all end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda kind: stack.enter_context(StandInProcess(kind, tmp_path / f"push-{kind}"))
