"""Readiness, status and watchdog for systemd: datagrams to the socket in NOTIFY_SOCKET (sd_notify(3))."""

import asyncio
import os
import socket
from collections.abc import Mapping


class Systemd:
    """Speaks to the service manager that started us; silent where there is none."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # abstract socket
            self._address = "\0" + self._address[1:]
        micros = environment.get("WATCHDOG_USEC", "")
        own = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        # twice in the time that systemd allows, as sd_watchdog_enabled(3) advises
        self.watchdog_interval = int(micros) / 2e6 if micros.isdigit() and own else 0.0
        self._timer: asyncio.TimerHandle | None = None

    def notify(self, state: str) -> None:
        """Sends one state, e.g. "READY=1"; a service manager that does not listen is no error."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(state.encode(), self._address)
        except OSError:
            pass

    def ready(self, status: str) -> None:
        """The node serves; from now on the watchdog is fed by the event loop."""
        self.notify(f"READY=1\nSTATUS={status}")
        if self.watchdog_interval:
            self._feed()

    def stopping(self, status: str) -> None:
        """The node drains. The watchdog is still fed until the end."""
        self.notify(f"STOPPING=1\nSTATUS={status}")

    def close(self) -> None:
        """Feeds no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _feed(self) -> None:
        self.notify("WATCHDOG=1")
        self._timer = asyncio.get_running_loop().call_later(self.watchdog_interval, self._feed)
