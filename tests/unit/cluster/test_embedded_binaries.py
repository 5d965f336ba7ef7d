"""Where the bundled servers are found."""

import subprocess

import pytest

from cluster import embedded_binaries
from cluster.embedded_binaries import find_etcd, find_redis


def test_what_is_found_runs() -> None:
    redis, etcd = find_redis(), find_etcd()
    assert redis is not None and etcd is not None
    assert b"v=" in subprocess.run([redis, "--version"], capture_output=True, check=True).stdout
    assert b"etcd Version" in subprocess.run([etcd, "--version"], capture_output=True, check=True).stdout


def test_scripts_named_etcd_are_passed_over(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_binaries, "_bundled", lambda *_: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis() is None and find_etcd() is None
    script = tmp_path / "etcd"
    script.write_text("#!/usr/bin/python3\n")
    script.chmod(0o755)
    assert find_etcd() is None
    script.write_bytes(b"\x7fELF")
    assert find_etcd() == str(script)
