"""Where a message came from and where answers go (RFC 5626), and the address of ours it came by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

_GONE: Final = object()
WATCHER_ERROR: Final = "A watcher of a closed flow failed"

Watcher = Callable[["Flow", str], None]


class Listener:
    """An address of ours that is listened on; compared by identity.

    ``host`` and ``port`` are what is bound, ``advertise_host`` and ``advertise_port`` what peers are told
    (hosts without brackets). ``via`` lacks only the branch; ``uri`` is for Record-Route and Path.
    """

    __slots__ = (
        "advertise_host",
        "advertise_port",
        "host",
        "internal",
        "port",
        "sent_by",
        "transport",
        "uri",
        "via",
    )  # fmt: skip

    def __init__(
        self,
        transport: str,
        host: str,
        port: int,
        *,
        advertise_host: str = "",
        advertise_port: int = 0,
        internal: bool = False,
    ) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.advertise_host = advertise_host or host
        self.advertise_port = advertise_port or port
        self.internal = internal
        shown = f"[{self.advertise_host}]" if ":" in self.advertise_host else self.advertise_host
        self.sent_by = f"{shown}:{self.advertise_port}".encode()
        self.via = b"Via: SIP/2.0/%b %b;branch=" % (transport.upper().encode(), self.sent_by)
        self.uri = b"sip:%b;transport=%b" % (self.sent_by, transport.encode())

    def __repr__(self) -> str:
        return f"{self.transport}:{self.host}:{self.port}"


class Flow:
    """A remote address at one UDP listener, or one connection.

    ``received`` is the remote IP address as text (no brackets), ``rport`` the remote port, ``serial`` the
    number of the connection, 0 for UDP. ``token`` is filled in by FlowTokens when first asked for.
    """

    __slots__ = (
        "_loop",
        "_reason",
        "_watchers",
        "closed",
        "listener",
        "received",
        "reliable",
        "rport",
        "serial",
        "token",
        "transport",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listener: Listener, host: str, port: int, serial: int = 0
    ) -> None:
        self._loop = loop
        self.listener = listener
        self.transport = listener.transport
        self.reliable = serial > 0
        self.received = host.partition("%")[0].encode()
        self.rport = port
        self.serial = serial
        self.closed = False
        self.token = ""
        self._reason = ""
        self._watchers: dict[Watcher, object] | None = None

    def __repr__(self) -> str:
        return f"{self.transport}:{self.received.decode()}:{self.rport}"

    def send(self, data: bytes) -> None:
        """Queue one message; it leaves when the running read or loop iteration ends. Never raises.

        A stream that is broken, or full beyond its bound, is closed: its watchers hear of it later, never
        within this call.
        """
        raise NotImplementedError

    def close(self, reason: str) -> None:
        """End the flow: what is queued still leaves, within a bound; watchers hear the reason, later."""
        raise NotImplementedError

    def watch(self, callback: Watcher) -> None:
        """Have ``callback(flow, reason)`` called once when the flow closes, or soon if it is closed."""
        if self._watchers is None:
            self._watchers = {}
        self._watchers[callback] = None
        if self.closed:
            self._loop.call_soon(self._tell)

    def unwatch(self, callback: Watcher) -> None:
        """Forget a watcher; unknown ones are no error."""
        if self._watchers is not None:
            self._watchers.pop(callback, None)

    def _end(self, reason: str) -> bool:
        """Mark as closed and have the watchers told; False if it was closed already."""
        if self.closed:
            return False
        self.closed = True
        self._reason = reason
        if self._watchers:
            self._loop.call_soon(self._tell)
        return True

    def _tell(self) -> None:
        watchers = self._watchers or {}
        for callback in list(watchers):
            if watchers.pop(callback, _GONE) is _GONE:  # one of the others took it off
                continue
            try:
                callback(self, self._reason)
            except Exception as error:
                self._loop.call_exception_handler({"message": WATCHER_ERROR, "exception": error})
