"""A master dies while messages are stored: what was accepted is at its successor."""

import asyncio
from contextlib import ExitStack

from cluster.messages.pending import Stored
from tests.network.cluster_rig import unique_aor, until
from tests.network.messages_rig import desk, handed
from tests.stores import RedisServer, free_port, running


async def test_what_was_accepted_survives_its_master() -> None:
    master = RedisServer(repl_diskless_sync_delay="0")
    replica = RedisServer(replicaof=f"127.0.0.1 {master.port}", repl_ping_replica_period="1")
    watchers = [
        RedisServer(port, sentinel=True, **{"sentinel monitor m 127.0.0.1": f"{master.port} 2"})
        for port in (free_port() for _ in range(3))
    ]
    with ExitStack() as stack:
        stack.enter_context(running(master, replica, *watchers))
        master.start()
        replica.start()
        await until(lambda: "master_link_status:up" in replica.call("INFO", "replication"))
        for watcher in watchers:
            watcher.start()
            watcher.call("SENTINEL", "SET", "m", "down-after-milliseconds", "500")
            watcher.call("SENTINEL", "SET", "m", "failover-timeout", "3000")
        await until(lambda: all("slaves=1,sentinels=3" in w.call("INFO", "sentinel") for w in watchers))
        url = f"sentinel://{','.join(f'127.0.0.1:{w.port}' for w in watchers)}/m"
        async with desk(url, replicas=1, max_per_user=10_000) as one:
            aor, accepted, ended = unique_aor(), list[str](), asyncio.Event()

            async def send() -> None:
                while not ended.is_set():
                    message = one.pending(aor)
                    if isinstance(await one.store(message, ["<a>"]), Stored):
                        accepted.append(message.id)
                    else:
                        await asyncio.sleep(0.01)

            senders = [asyncio.create_task(send()) for _ in range(20)]
            await until(lambda: len(accepted) > 200)
            master.kill()
            await until(lambda: not one.node.service.connected)
            await until(lambda: replica.call("ROLE")[0] == "master", 30)
            await until(lambda: one.node.service.connected, 30)
            ended.set()
            await asyncio.gather(*senders)
            kept = [row.pending.id for row in await one.messages.listed(aor)]
            assert set(accepted) <= set(kept)
            assert len(kept) == len(set(kept))
            claimed = await one.claim(aor, "<a>", count=10_000)
            assert len(handed(claimed)["<a>"]) == len(kept)
            await one.confirm(aor, *((owed.pending, "<a>", 200) for owed in claimed.owed))
            assert replica.call("KEYS", "*:messages:{*") == []
