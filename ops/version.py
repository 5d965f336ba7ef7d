"""Which Clarion this is, and which of its modules run compiled."""

import importlib
from importlib import metadata

# module -> what it does; each has a `COMPILED` flag and a twin in plain Python
COMPILED_MODULES = {"node.sip.codec": "SIP codec", "node.transport.udp": "UDP batching"}


def version() -> str:
    """The version of the installed distribution."""
    try:
        return metadata.version("clarion")
    except metadata.PackageNotFoundError:
        return "0 (not installed)"


def compiled() -> dict[str, bool]:
    """For each module with a compiled form, whether that is in use."""
    return {
        about: bool(getattr(importlib.import_module(module), "COMPILED", False))
        for module, about in COMPILED_MODULES.items()
    }


def version_text() -> str:
    """For people."""
    parts = [f"{about} {'compiled' if active else 'in plain Python'}" for about, active in compiled().items()]
    return f"Clarion {version()}; " + ", ".join(parts)
