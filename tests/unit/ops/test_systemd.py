"""What a service manager hears."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from ops.systemd import Systemd


@pytest.fixture
def manager(tmp_path: Path):  # type: ignore[no-untyped-def]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "n"))
        listener.settimeout(5)
        yield listener


async def test_ready_stopping_and_watchdog(manager: socket.socket, tmp_path: Path) -> None:
    environment = {
        "NOTIFY_SOCKET": str(tmp_path / "n"),
        "WATCHDOG_USEC": "20000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    systemd = Systemd(environment)
    assert systemd.watchdog_interval == 0.01
    systemd.ready("serving")
    assert manager.recv(100) == b"READY=1\nSTATUS=serving"
    assert manager.recv(100) == b"WATCHDOG=1"
    manager.setblocking(False)
    assert await asyncio.get_running_loop().sock_recv(manager, 100) == b"WATCHDOG=1"
    systemd.close()
    systemd.stopping("draining")
    assert await asyncio.get_running_loop().sock_recv(manager, 100) == b"STOPPING=1\nSTATUS=draining"


def test_silent_without_a_service_manager_and_when_it_is_gone(tmp_path: Path) -> None:
    Systemd({}).notify("READY=1")
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}).notify("READY=1")
    assert Systemd({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_interval == 0
