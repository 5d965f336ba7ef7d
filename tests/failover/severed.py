"""A TCP proxy in front of a server, in a thread of its own, that can be cut: then nothing passes."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType

from tests.stores import free_port


class Severable:
    """Listens at `port` and passes everything on until `cut()`; `mend()` lets new connections pass again."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._cut = False
        self._ended = False
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Severable:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._thread.join(5)
        for one in [*self._peers, self._listener]:
            one.close()
        self._selector.close()

    def cut(self) -> None:
        """As when a cable is drawn: connections stay open and silent."""
        self._cut = True

    def mend(self) -> None:
        """Those that were cut are reset."""
        self._cut = False

    def _run(self) -> None:
        stale = False
        while not self._ended:
            stale = stale or self._cut
            if stale and not self._cut:
                for one in list(self._peers):
                    self._drop(one)
                stale = False
            if self._cut:
                self._selector.select(0)
                threading.Event().wait(0.01)
                continue
            for key, _ in self._selector.select(0.01):
                if self._cut:
                    break
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._pass(key.fileobj)  # type: ignore[arg-type]

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._target), 2)
        except OSError:
            near.close()
            return
        for one, other in ((near, far), (far, near)):
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass(self, source: socket.socket) -> None:
        other = self._peers.get(source)
        if other is None:
            return
        try:
            chunk = source.recv(65536)
            if chunk:
                other.sendall(chunk)
                return
        except OSError:
            pass
        self._drop(source)

    def _drop(self, one: socket.socket) -> None:
        other = self._peers.pop(one, None)
        if other is None:
            return
        self._peers.pop(other, None)
        for end in (one, other):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()
