"""Fixtures for tests that need push services or their keys: import them in a conftest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.standins.apns import ApnsStandIn
from tests.standins.configuration import write_configuration
from tests.standins.fcm import FcmStandIn
from tests.standins.process import StandInProcess
from tests.standins.web_push import WebPushStandIn

Start = Callable[[str], StandInProcess]
Write = Callable[..., Path]


class PushKeys(NamedTuple):
    """Files as vendors give them out. Stand-ins that start in `folder` accept them."""

    folder: Path
    ca: Path
    apns_key: Path  # .p8
    service_account: Path  # JSON; a stand-in that starts rewrites it, for its token_uri
    vapid: Path  # PEM


@pytest.fixture
def push_service(tmp_path: Path) -> Iterator[Start]:
    """`push_service("apns")` starts one; all end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda kind: stack.enter_context(StandInProcess(kind, tmp_path / f"push-{kind}"))


@pytest.fixture
def push_keys(tmp_path: Path) -> PushKeys:
    """Keys without services, for tests of what only reads them."""
    folder = tmp_path / "push-keys"
    apns, fcm, web = ApnsStandIn(folder), FcmStandIn(folder), WebPushStandIn(folder)
    account = fcm.account("service_account.json")
    return PushKeys(folder, apns.authority.ca, apns.key, account, web.vapid)


@pytest.fixture
def push_configuration(tmp_path: Path) -> Write:
    """`push_configuration(*services, node={...})` writes the configuration of a node that pushes to them."""
    return lambda *services, **sections: write_configuration(tmp_path / "clarion.toml", *services, **sections)
