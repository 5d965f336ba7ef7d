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
from cluster.redis.link import Done, Word
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

    def submit(self, key: bytes, words: tuple[Word, ...], done: Done, hops: int = _HOPS) -> None:
        """Send one command about `key`. `done(reply)` is called in stream order, at once where Redis is away;
        errors come as StoreUnavailable."""

        def told(reply: Any) -> None:
            if type(reply) is hiredis.ReplyError:
                self._refused(key, words, done, str(reply), hops)
            else:
                done(reply)

        self.topology.route(key).submit(words, told)

    def submit_script(self, script: Script, key: bytes, arguments: tuple[Word, ...], done: Done) -> None:
        """Run a script on its one key."""

        def told(reply: Any) -> None:
            if isinstance(reply, StoreRefused) and reply.code == "NOSCRIPT":
                self.submit(key, ("EVAL", script.text, 1, key, *arguments), done)
            else:
                done(reply)

        self.submit(key, ("EVALSHA", script.digest, 1, key, *arguments), told)

    async def call(self, key: bytes, *words: Word) -> Any:
        """One command about `key`, its reply. Raises StoreUnavailable."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.submit(key, words, settle(answer))
        return await answer

    def _refused(self, key: bytes, words: tuple[Word, ...], done: Done, text: str, hops: int) -> None:
        error = StoreRefused(text)
        if error.code in ("MOVED", "ASK") and hops > 0:
            target = self._named(text)
            if error.code == "MOVED" and isinstance(self.topology, Cluster):
                self.topology.refresh()
            if target is None:
                done(
                    StoreUnavailable(
                        f"Redis redirects ({text}): [redis] url must be cluster://, or its map is being read"
                    )
                )
                return
            if error.code == "ASK":
                target.submit(("ASKING",), _ignore)
            self._follow(target, key, words, done, hops - 1)
        else:
            if error.code in _NOT_MASTER:
                self.topology.refresh()
            done(error)

    def _follow(self, target: Connection, key: bytes, words: tuple[Word, ...], done: Done, hops: int) -> None:
        def told(reply: Any) -> None:
            if type(reply) is hiredis.ReplyError:
                self._refused(key, words, done, str(reply), hops)
            else:
                done(reply)

        target.submit(words, told)

    def _named(self, text: str) -> Connection | None:
        """The connection that "MOVED 3999 127.0.0.1:6381" names."""
        host, _, port = text.split(" ")[2].rpartition(":")
        return self.topology.at(host.strip("[]"), int(port))


def _ignore(_: Any) -> None:
    """ASKING is answered OK; what counts is the answer to the command behind it."""
