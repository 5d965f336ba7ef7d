"""The stores that the nodes share: a Redis master and its replica behind three sentinels, and an etcd.

The calls block; `World` makes them in threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.stores import EtcdServer, RedisServer, free_port

MASTER = "m"
_LIMIT = 30.0
_SETTLED = 1.2  # s: longer than the sentinels take to miss a master
_REDIS = {
    "min_replicas_to_write": "1",  # an old master that comes back alone must not take anything
    "min_replicas_max_lag": "2",
    "repl_diskless_sync": "yes",
    "repl_diskless_sync_delay": "0",
    "repl_ping_replica_period": "1",
    "repl_timeout": "5",
}


class Shared:
    """Started by `start()`, ended by `close()`."""

    def __init__(self) -> None:
        first = RedisServer(persistent=True, **_REDIS)
        second = RedisServer(persistent=True, replicaof=f"127.0.0.1 {first.port}", **_REDIS)
        self.servers = (first, second)
        watched = {f"sentinel monitor {MASTER} 127.0.0.1": f"{first.port} 2"}
        self.sentinels = [RedisServer(free_port(), sentinel=True, **watched) for _ in range(3)]
        self.etcd = EtcdServer()

    def start(self) -> None:
        self.etcd.start()
        for server in self.servers:
            server.start()
        _until(lambda: "master_link_status:up" in self.servers[1].call("INFO", "replication"), "a replica")
        for sentinel in self.sentinels:
            sentinel.start()
            for name, value in (("down-after-milliseconds", "500"), ("failover-timeout", "3000")):
                sentinel.call("SENTINEL", "SET", MASTER, name, value)
        self._watched()

    def close(self) -> None:
        for server in (*self.sentinels, *self.servers, self.etcd):
            server.close()

    @property
    def master(self) -> RedisServer:
        """The server that the sentinels name."""
        _, port = self.sentinels[0].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(server for server in self.servers if server.port == int(port))

    def restart_master(self) -> None:
        """Killed, and back with its file before the sentinels miss it; returns when its replica is back."""
        master = self.master
        master.restart()
        self.settled()

    def fail_over(self) -> None:
        """The master is killed, its replica is made master, the old one comes back as a replica."""
        old = self.master
        new = next(server for server in self.servers if server is not old)
        old.kill()
        _until(lambda: self.master is new and new.call("ROLE")[0] == "master", "a new master")
        lines = (old.directory / "redis.conf").read_text().splitlines()
        kept = [line for line in lines if not line.startswith("replicaof")]
        (old.directory / "redis.conf").write_text("\n".join([*kept, f"replicaof 127.0.0.1 {new.port}", ""]))
        old.start()
        self.settled()

    def settled(self) -> None:
        """Waits until there has been for a while the same master with a replica that is up to date, and the
        sentinels agree: they may take a restart for a failure, a moment later."""

        def whole() -> bool:
            master = self.master
            replica = next(server for server in self.servers if server is not master)
            role = replica.call("ROLE")
            return bool(
                master.call("ROLE")[0] == "master"
                and role[0] == "slave"
                and role[2] == master.port
                and role[3] == "connected"
            )

        since, master = 0.0, None
        while not since or time.monotonic() - since < _SETTLED:
            _until(whole, "a master with its replica")
            self._watched()
            if self.master is not master:
                since, master = time.monotonic(), self.master
            time.sleep(0.05)

    def _watched(self) -> None:
        def all_see() -> bool:
            return all(
                "status=ok" in (told := str(one.call("INFO", "sentinel"))) and "slaves=1,sentinels=3" in told
                for one in self.sentinels
            )

        _until(all_see, "sentinels that see everything")

    # what a run looks at

    def message_keys(self) -> list[str]:
        """Keys of stored messages that are still there, the count of all excepted."""
        keys = self.master.call("KEYS", "clarion:messages:*")
        return sorted(key for key in keys if not key.endswith(":total"))

    def total(self) -> int:
        """Messages stored for all, as the nodes count them together."""
        return int(self.master.call("GET", "clarion:messages:total") or 0)

    def markers(self) -> list[str]:
        """Addresses of record that are said to be owed something."""
        master = self.master
        keys = master.call("KEYS", "clarion:aor:*")
        return sorted(key for key in keys if master.call("HEXISTS", key, ":messages"))

    def dump(self, key: str) -> Any:
        """What is under a key, for the report."""
        return self.master.call("HGETALL" if not key.endswith(":order") else "TYPE", key)


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _LIMIT
    while True:
        try:
            if holds():
                return
        except (OSError, StopIteration, IndexError, TypeError):
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(0.02)
