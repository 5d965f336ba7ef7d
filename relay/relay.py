"""The relay of a node: its forwarder, its ports and the sessions of its calls."""

from __future__ import annotations

import asyncio
import time

from relay.events import Emit, SessionIdle, SourceLearned, StreamFloods
from relay.flows import Event, What
from relay.forward import SLOW, Forwarder
from relay.pools import Pools
from relay.session import Session, SessionRecord
from relay.side import Shared, Side


class Relay:
    """Opens sessions, and tells what happens in them. `slow` where no compiled forwarder is."""

    slow = SLOW

    def __init__(self, pools: Pools, emit: Emit, capacity: int = 65_536) -> None:
        """`capacity`: most sockets at a time, two to four for each side of a media line."""
        self.pools = pools
        self.sessions: dict[str, Session] = {}
        self._emit = emit
        self._forwarder = Forwarder(capacity)
        self._idle: dict[str, set[int]] = {}  # session -> flows that are silent
        self._shared = Shared(self._forwarder, pools, {})
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to forward, and to tell events on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._forwarder.fileno(), self._told)
        self._forwarder.start()

    def open(self, name: str) -> Session:
        """A new session. ValueError if there is one of this name."""
        if name in self.sessions:
            raise ValueError(f"there is a relay session {name}")
        made = self.sessions[name] = Session(name, self._shared)
        return made

    def restore(self, record: SessionRecord) -> Session:
        """Continue a session of another node. PortsExhausted or OSError where its ports cannot be had."""
        session = self.open(record.name)
        try:
            session.restore(record, time.monotonic())
        except BaseException:
            del self.sessions[record.name]
            raise
        return session

    def end(self, name: str) -> None:
        """End a session; its ports rest. KeyError if there is none."""
        session = self.sessions.pop(name)
        self._idle.pop(name, None)
        session.close(time.monotonic())

    def close(self) -> None:
        """End all sessions and stop."""
        for name in list(self.sessions):
            self.end(name)
        if self._loop is not None:
            self._loop.remove_reader(self._forwarder.fileno())
        self._forwarder.close()

    def _told(self) -> None:
        for event in self._forwarder.events():
            side = self._shared.sides.get(event.flow)
            if side is not None:  # RTCP apart says nothing about media
                self._tell(event, side)

    def _tell(self, event: Event, side: Side) -> None:
        name = side.session
        if event.what == What.LATCHED:
            self._emit(SourceLearned(name, side.line, side.name, side.counters().source))
        elif event.what == What.FLOOD:
            self._emit(StreamFloods(name, side.line, side.name))
        elif event.what == What.BACK:
            self._idle.get(name, set()).discard(event.flow)
        else:
            idle = self._idle.setdefault(name, set())
            idle.add(event.flow)
            if all(one.flow in idle for one in self.sessions[name].sides()):
                self._emit(SessionIdle(name))
