"""A node's push service in a process of its own, for the tests that kill it.

    push_worker.py NAME REDIS_URL ETCD_ENDPOINT LOG

Each push takes 20 ms at its sender, 25 at a time in each lane. What happens is appended to LOG, a line each:
`sent ID`, `confirmed ID`, `owns COUNT`, `counts JSON`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from cluster.push.feed import Item
from cluster.push.partition import PARTITIONS
from cluster.push.providers.provider import Answer
from cluster.push.push import Push
from tests.network.push_rig import PushNode

SECONDS, WIDTH = 0.02, 25


async def main(name: str, redis: str, etcd: str, path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(*words: object) -> None:
        os.write(log, (" ".join(map(str, words)) + "\n").encode())

    node = PushNode(name, redis, etcd, lease_ttl=1, takeover=1.0, lane_concurrency=WIDTH)
    loop = asyncio.get_running_loop()
    node.sender.width = WIDTH

    def hold(one: Push) -> bool:
        loop.call_later(SECONDS, node.sender.end, one.id)
        return True

    node.sender.holds = hold
    node.sender.on_sent = lambda one: note("sent", one.id)
    confirmed = node.service._confirms._confirmed

    def told(item: Item, answer: Answer, first: bool) -> None:
        if first:
            note("confirmed", item.push.id)
        confirmed(item, answer, first)

    node.service._confirms._confirmed = told
    await node.start()
    before = -1
    while True:
        owned = len(node.owned) if node.service._dispatchers else 0
        if owned != before:
            note("owns", owned, "of", PARTITIONS)
            before = owned
        note("counts", json.dumps(node.counts))
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
