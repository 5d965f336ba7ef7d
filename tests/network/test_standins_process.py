"""Stand-ins as processes of their own, as tests with real nodes use them."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from tests.phones.clarion import clarion_command
from tests.standins.fixtures import (
    PushKeys,
    Start,
    Write,
    push_configuration,
    push_keys,
    push_service,
)
from tests.standins.kinds import KINDS
from tests.standins.process import StandInProcess

__all__ = ["push_configuration", "push_keys", "push_service"]


def check(config: Path) -> str:
    """What `clarion config check` says of a file that is right."""
    told = subprocess.run(
        [*clarion_command(), "config", "check", str(config)], capture_output=True, text=True, timeout=30
    )
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


def test_their_options_are_a_configuration(
    push_service: Start, push_configuration: Write, tmp_path: Path
) -> None:
    services = [push_service(kind) for kind in sorted(KINDS)]
    node = {"name": "a", "domains": ["phones.test"], "data": str(tmp_path / "data")}
    config = push_configuration(*services, node=node)
    told = check(config)
    assert not any(kind in told for kind in KINDS), told  # nothing is wrong with its credentials
    sections = tomllib.loads(config.read_text())
    assert Path(sections["push"]["ca"]).read_text().count("BEGIN CERTIFICATE") == len(KINDS)
    assert sections["fcm"]["4711"]["server"] == services[1].url


def test_one_ca_is_enough_for_all(push_service: Start, push_configuration: Write) -> None:
    services = [push_service(kind) for kind in ("apns", "webhook")]
    ca = tomllib.loads(push_configuration(*services).read_text())["push"]["ca"]
    context = ssl.create_default_context(cafile=ca)
    for service in services:
        with (
            socket.create_connection(("127.0.0.1", service.port), 5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            assert tls.version() == "TLSv1.3"


def test_keys_are_those_of_the_services(push_keys: PushKeys) -> None:
    before = [path.read_bytes() for path in (push_keys.ca, push_keys.apns_key, push_keys.vapid)]
    assert b"BEGIN PRIVATE KEY" in before[1]
    account = json.loads(push_keys.service_account.read_text())
    with StandInProcess("fcm", push_keys.folder) as fcm:
        later = json.loads(push_keys.service_account.read_text())
        assert (later["private_key"], later["token_uri"]) == (account["private_key"], f"{fcm.url}/token")
    with StandInProcess("apns", push_keys.folder) as apns:
        assert apns.options()['apns."org.example.app"']["key"] == str(push_keys.apns_key)
    assert [path.read_bytes() for path in (push_keys.ca, push_keys.apns_key, push_keys.vapid)] == before


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
