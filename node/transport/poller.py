"""Which connections can be read or written: one epoll of ours behind one reader of the event loop.

libuv gives a socket up after it reports an error once; data that came before a reset would then hide the
reset for ever. This epoll reports until the socket is closed, wakes the loop once for all connections that
are ready, and lets their output be collected together.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from node.transport.outbox import Outbox

HELPING: Final = 64  # connections served in a row, then others have their turn
_READ: Final = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
_WRITE: Final = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR

Callback = Callable[[], None]


class Poller:
    """Like the loop's add_reader and add_writer, for descriptors that are removed before they are closed.

    A callback may be called without need: a descriptor may have been closed and opened anew in between.
    """

    __slots__ = ("_epoll", "_loop", "_outbox", "_readers", "_writers")

    def __init__(self, loop: asyncio.AbstractEventLoop, outbox: Outbox) -> None:
        self._loop = loop
        self._outbox = outbox
        self._epoll = select.epoll()
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        loop.add_reader(self._epoll.fileno(), self._ready)

    def add_reader(self, fd: int, callback: Callback) -> None:
        """Call when there is something to read, the end of the stream, or an error."""
        known = fd in self._readers
        self._readers[fd] = callback
        if not known:
            self._register(fd, fd in self._writers)

    def add_writer(self, fd: int, callback: Callback) -> None:
        """Call when there is room to write, or an error."""
        known = fd in self._writers
        self._writers[fd] = callback
        if not known:
            self._register(fd, fd in self._readers)

    def remove_reader(self, fd: int) -> None:
        """No more calls; nothing to do if there are none."""
        if self._readers.pop(fd, None) is not None:
            self._unregister(fd)

    def remove_writer(self, fd: int) -> None:
        """No more calls; nothing to do if there are none."""
        if self._writers.pop(fd, None) is not None:
            self._unregister(fd)

    def _wanted(self, fd: int) -> int:
        return (select.EPOLLIN if fd in self._readers else 0) | (
            select.EPOLLOUT if fd in self._writers else 0
        )

    def _register(self, fd: int, known: bool) -> None:
        if known:
            self._epoll.modify(fd, self._wanted(fd))
        else:
            self._epoll.register(fd, self._wanted(fd))

    def _unregister(self, fd: int) -> None:
        wanted = self._wanted(fd)
        if wanted:
            self._epoll.modify(fd, wanted)
        else:  # or errors would be reported on and on
            self._epoll.unregister(fd)

    def _ready(self) -> None:
        readers, writers = self._readers, self._writers
        self._outbox.hold()
        for fd, events in self._epoll.poll(0, HELPING):
            try:
                if events & _READ and (callback := readers.get(fd)) is not None:
                    callback()
                if events & _WRITE and (callback := writers.get(fd)) is not None:
                    callback()
            except Exception as error:
                self._loop.call_exception_handler({"message": "A connection failed", "exception": error})
        self._outbox.flush()

    def close(self) -> None:
        """No more calls at all."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._readers.clear()
            self._writers.clear()
