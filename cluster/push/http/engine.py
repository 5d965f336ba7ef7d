"""Carries out HTTP requests inside the running loop: libcurl, HTTP/2 with many requests on a connection.

One `Pool` (multi handle) for each server and way to reach it, so that a server that does not answer holds up
nobody else. Pools that are idle end; their number is bounded, for Web Push lets phones name servers.
"""

from __future__ import annotations

import asyncio

from cluster.push.http.message import Connection, Done, HttpRequest, HttpResponse
from cluster.push.http.pool import Pool
from cluster.push.http.target import origin
from cluster.push.http.transfer import IDLE

SERVERS = 256  # at a time; an idle one makes room for another
CLOSING = 1.0  # s that the end of connections is waited for
SWEEP = 10.0  # s between two looks for pools that are no longer needed

Key = tuple[str, Connection]


class Engine:
    """One per node. Make it and call it on the loop's thread; asyncio's loop and uvloop both do."""

    def __init__(self, concurrency: int = 200) -> None:
        """`concurrency`: requests under way at each server; ten times as many may wait for their turn."""
        self._concurrency = concurrency
        self._pools: dict[Key, Pool] = {}
        self._retired: set[Pool] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def send(self, request: HttpRequest, done: Done) -> None:
        """`done` is called once and never before this returns: with the answer, or with status 0 and why."""
        loop = asyncio.get_running_loop()
        if self._closed:
            loop.call_soon(done, HttpResponse(0, error="closed", unprocessed=True))
            return
        server = origin(request.url)
        pool = self._pool((server, request.connection), loop) if server else None
        if pool is None:
            why = "too many servers at a time" if server else "the URL is neither http nor https"
            loop.call_soon(done, HttpResponse(0, error=f"{server or 'request'}: {why}", unprocessed=True))
            return
        pool.send(request, done)

    async def close(self) -> None:
        """Requests that are under way end with status 0 and the error "closed", before the first await."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        pools = [*self._pools.values(), *self._retired]
        self._pools.clear()
        self._retired.clear()
        for pool in pools:
            pool.close()
        await asyncio.gather(*(pool.closed(CLOSING) for pool in pools))

    def _pool(self, key: Key, loop: asyncio.AbstractEventLoop) -> Pool | None:
        pool = self._pools.get(key)
        if pool is not None:
            if pool.serves(loop.time()):
                return pool
            self._retired.add(self._pools.pop(key))
        elif len(self._pools) >= SERVERS and not self._make_room():
            return None
        pool = self._pools[key] = Pool(key[0].partition("://")[2], key[1], self._concurrency, loop)
        if self._timer is None:
            self._timer = loop.call_later(SWEEP, self._sweep)
        return pool

    def _make_room(self) -> bool:
        idle = [key for key, pool in self._pools.items() if not pool.under_way]
        if not idle:
            return False
        self._pools.pop(min(idle, key=lambda key: self._pools[key].used_at)).close()
        return True

    def _sweep(self) -> None:
        """Ends the pools that nobody needs."""
        loop = asyncio.get_running_loop()
        before = loop.time() - IDLE
        for key, pool in list(self._pools.items()):
            if not pool.under_way and pool.used_at < before:
                self._pools.pop(key).close()
        for pool in [pool for pool in self._retired if not pool.under_way]:
            self._retired.discard(pool)
            pool.close()
        wanted = self._pools or self._retired
        self._timer = loop.call_later(SWEEP, self._sweep) if wanted else None
