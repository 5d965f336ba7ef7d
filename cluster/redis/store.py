"""Commands and scripts, sent to the master of their key; redirections followed.

Redirected are only the refusals that say "not done here": MOVED, ASK (Redis Cluster), NOSCRIPT. READONLY,
LOADING, CLUSTERDOWN, NOREPLICAS and the rest become StoreRefused, which is a StoreUnavailable: the phone
gets 503 and tries again.
"""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis

from cluster.errors import StoreRefused, StoreUnavailable
from cluster.redis.connection import Connection, settle
from cluster.redis.link import Command, Done, Word
from cluster.redis.script import Script
from cluster.redis.topology import Cluster, Topology

_HOPS = 3
_NOT_MASTER = ("READONLY", "MASTERDOWN")


class Store:
    """The door to Redis for everything that has a key."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    @property
    def connected(self) -> bool:
        return self.topology.connected

    def submit(self, key: bytes, words: tuple[Word, ...], done: Done) -> None:
        """Send one command about `key`. `done(reply)` is called in stream order, at once where Redis is away;
        errors come as StoreUnavailable."""
        self.topology.route(key).submit(words, _Errand(self, key, words, done))

    def submit_script(self, script: Script, key: bytes, arguments: tuple[Word, ...], done: Done) -> None:
        """Run a script on its one key."""
        command = script.call(key, arguments)
        text = ("EVAL", script.text, 1, key, *arguments)
        self.topology.route(key).submit(command, _Errand(self, key, command, done, text))

    async def call(self, key: bytes, *words: Word) -> Any:
        """One command about `key`, its reply. Raises StoreUnavailable."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.submit(key, words, settle(answer))
        return await answer

    def named(self, text: str) -> Connection | None:
        """The connection that "MOVED 3999 127.0.0.1:6381" names."""
        host, _, port = text.split(" ")[2].rpartition(":")
        return self.topology.at(host.strip("[]"), int(port))


class _Errand:
    """One command on its way: takes the reply, and follows redirections before it tells `done`."""

    __slots__ = ("_command", "_done", "_hops", "_key", "_store", "_text")

    def __init__(
        self, store: Store, key: bytes, command: Command, done: Done, text: Command | None = None
    ) -> None:
        """`text` is what to send to a server that does not know the script of the command."""
        self._store = store
        self._key = key
        self._command = command
        self._done = done
        self._text = text
        self._hops = _HOPS

    def __call__(self, reply: Any) -> None:
        if type(reply) is hiredis.ReplyError:
            self._refused(StoreRefused(str(reply)))
        else:
            self._done(reply)

    def _refused(self, error: StoreRefused) -> None:
        topology = self._store.topology
        if error.code == "NOSCRIPT" and self._text is not None:
            self._command, self._text = self._text, None
            topology.route(self._key).submit(self._command, self)
        elif error.code in ("MOVED", "ASK") and self._hops > 0:
            self._follow(error)
        else:
            if error.code in _NOT_MASTER:
                topology.refresh()
            self._done(error)

    def _follow(self, error: StoreRefused) -> None:
        topology, text = self._store.topology, error.reply
        self._hops -= 1
        target = self._store.named(text)
        if error.code == "MOVED" and isinstance(topology, Cluster):
            topology.refresh()
        if target is None:
            reason = f"Redis redirects ({text}): [redis] url must be cluster://, or its map is being read"
            self._done(StoreUnavailable(reason))
            return
        if error.code == "ASK":
            target.submit(("ASKING",), _ignore)
        target.submit(self._command, self)


def _ignore(_: Any) -> None:
    """ASKING is answered OK; what counts is the answer to the command behind it."""
