"""A node's collector in a process of its own, for the tests that kill it.

    collect_worker.py NAME REDIS_URL ETCD_ENDPOINT LOG

It sweeps in steps of ten keys. What it tells is appended to LOG, a line each: `expired AOR`, `elected FENCE`,
`resigned REASON`.
"""

from __future__ import annotations

import asyncio
import os
import sys

from cluster.collect.collector import Collector
from cluster.collect.events import BindingExpired, CollectorElected, CollectorResigned
from cluster.collect.settings import StorageSettings
from cluster.events import Event
from cluster.membership import Members
from cluster.settings import EtcdSettings, RedisSettings
from tests.network.cluster_rig import Rig


async def main(name: str, redis: str, etcd: str, path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(*words: object) -> None:
        os.write(log, (" ".join(map(str, words)) + "\n").encode())

    def told(event: Event) -> None:
        if isinstance(event, BindingExpired):
            note("expired", event.aor)
        elif isinstance(event, CollectorElected):
            note("elected", event.fence)
        elif isinstance(event, CollectorResigned):
            note("resigned", event.reason)

    node = Rig(redis, keep=3600.0)
    await node.service.start()
    collector = Collector(
        StorageSettings(sweep=1.0, step=10, lease_ttl=1),
        RedisSettings(url=redis),
        node.service,
        Members(EtcdSettings(endpoints=(etcd,))),
        None,
        told,
        name,
        keep=True,
    )
    await collector.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
