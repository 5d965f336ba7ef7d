"""Every test of the codec runs against both implementations."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest


@pytest.fixture(params=["codec_python", "_codec"])
def codec(request: pytest.FixtureRequest) -> ModuleType:
    """One of the twins; the compiled one is passed over where it was not built."""
    try:
        return import_module(f"node.sip.{request.param}")
    except ImportError:
        pytest.skip("the codec is not compiled here")
