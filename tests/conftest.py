"""Shared by all tests: a quiet environment."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_clarion_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options from the caller's shell must not reach a test."""
    for name in list(os.environ):
        if name.startswith("CLARION_") and name != "CLARION_PURE_PYTHON":
            monkeypatch.delenv(name)
