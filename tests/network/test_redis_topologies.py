"""Redis behind sentinels and as a cluster: masters move, the node follows without a restart."""

import asyncio

import pytest

from cluster.errors import StoreUnavailable
from cluster.redis.topology import slot_of
from tests.network.cluster_rig import Rig, device, rig, unique_aor, until
from tests.stores import RedisServer, free_port, redis_cluster, running


async def _settles(node: Rig, aor: str) -> None:
    """Register until it is done; Redis is choosing a master meanwhile."""
    async with asyncio.timeout(30):
        for cseq in range(2, 1 << 30):
            try:
                await node.put(aor, device("x"), cseq=cseq)
                return
            except StoreUnavailable:
                await asyncio.sleep(0.05)


async def test_a_new_master_is_followed() -> None:
    master = RedisServer(repl_diskless_sync_delay="0")
    replica = RedisServer(replicaof=f"127.0.0.1 {master.port}", repl_ping_replica_period="1")
    watchers = [
        RedisServer(port, sentinel=True, **{"sentinel monitor m 127.0.0.1": f"{master.port} 2"})
        for port in (free_port() for _ in range(3))
    ]
    with running(master, replica, *watchers):
        master.start()
        replica.start()
        await until(lambda: "master_link_status:up" in replica.call("INFO", "replication"))
        for watcher in watchers:
            watcher.start()
            watcher.call("SENTINEL", "SET", "m", "down-after-milliseconds", "500")
            watcher.call("SENTINEL", "SET", "m", "failover-timeout", "3000")
        await until(lambda: all("slaves=1,sentinels=3" in w.call("INFO", "sentinel") for w in watchers))
        dead = free_port()
        hosts = ",".join(f"127.0.0.1:{port}" for port in (dead, *(w.port for w in watchers)))
        async with rig(f"sentinel://{hosts}/m") as node:
            aor, heard = unique_aor(), []
            node.service.subscribe(aor, lambda _, keys: heard.append(keys))
            await until(lambda: () in heard)
            await node.put(aor, device("x"))
            await until(lambda: ("<x>",) in heard)
            await until(lambda: replica.call("EXISTS", f"clarion:aor:{{{aor}}}"))
            assert await node.keys(aor) == ["<x>"]
            heard.clear()
            master.kill()
            await until(lambda: not node.service.connected)
            assert len(node.service.last_known(aor).bindings) == 1
            await _settles(node, aor)
            assert await node.keys(aor) == ["<x>"]
            assert replica.call("ROLE")[0] == "master"
            await until(lambda: () in heard)  # the subscription moved too
            heard.clear()
            await node.put(aor, device("x"), call_id="after")
            await until(lambda: ("<x>",) in heard)


async def test_a_cluster_of_three_masters() -> None:
    servers = redis_cluster(3)
    with running(*servers):
        hosts = ",".join(f"127.0.0.1:{port}" for port in (free_port(), servers[0].port))
        async with rig(f"cluster://{hosts}") as node, rig(f"cluster://127.0.0.1:{servers[2].port}") as other:
            assert node.service.connected
            aors = [unique_aor() for _ in range(100)]
            for aor in aors:
                await node.put(aor, device("x"))
            sizes = [server.call("DBSIZE") for server in servers]
            assert sum(sizes) == 100 and min(sizes) > 0
            assert await other.service.count() == 100
            assert len([record async for record in other.service.scan(limit=1000)]) == 100
            for aor in aors:
                assert await other.keys(aor) == ["<x>"]
                await node.put(aor, device("x"), ttl=0, cseq=2)
            await until(lambda: not any(other.service.cached(aor) for aor in aors))
            heard: list[str] = []
            sure: set[str] = set()
            for aor in aors:
                other.service.subscribe(
                    aor, lambda name, keys: heard.append(name) if keys else sure.add(name)
                )
            await until(lambda: sure == set(aors))
            for aor in aors:
                await node.put(aor, device("x"), cseq=3)
            await until(lambda: set(heard) == set(aors))
            await _moves_a_slot(servers, node, other)
            servers[1].freeze()
            await until(lambda: not node.service.connected)
            lasting = next(aor for aor in aors if not 5461 <= _slot(aor) <= 10922)
            assert await node.keys(lasting) == ["<x>"]  # the other masters serve on
            servers[1].thaw()
            await until(lambda: node.service.connected)


async def _moves_a_slot(servers: list[RedisServer], node: Rig, other: Rig) -> None:
    """From the first master to the last, while both nodes know an address in it."""
    number = 0
    while _slot(aor := f"moving{number}@example.org") > 5460:
        number += 1
    slot, key = _slot(aor), f"clarion:aor:{{{aor}}}"
    await node.put(aor, device("x"))
    await other.keys(aor)
    source, target = servers[0], servers[2]
    ids = {server: server.call("CLUSTER", "MYID") for server in (source, target)}
    assert target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source]) == "OK"
    assert source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target]) == "OK"
    assert source.call("MIGRATE", "127.0.0.1", target.port, key, 0, 1000) == "OK"
    await node.put(aor, device("x", uri="sip:asked@h"), cseq=2)  # ASK
    node.service.cache.clear()
    assert (await node.service.fetch(aor)).bindings[0].uri == "sip:asked@h"
    for server in (target, source, servers[1]):
        assert server.call("CLUSTER", "SETSLOT", slot, "NODE", ids[target]) == "OK"
    await node.put(aor, device("x", uri="sip:moved@h"), cseq=3)  # MOVED
    await until(lambda: other.service.cached(aor) is None)
    assert (await other.service.fetch(aor)).bindings[0].uri == "sip:moved@h"


def _slot(aor: str) -> int:
    return slot_of(f"clarion:aor:{{{aor}}}".encode())


async def test_a_cluster_that_is_not_there() -> None:
    async with rig(f"cluster://127.0.0.1:{free_port()}", timeout=0.3) as node:
        assert not node.service.connected
        with pytest.raises(StoreUnavailable, match="slots"):
            await node.service.fetch("a@b")


async def test_a_cluster_named_as_a_single_server_says_so() -> None:
    servers = redis_cluster(2)
    with running(*servers):
        async with rig(servers[0].url) as node:
            number = 0
            while _slot(f"u{number}@x") < 8192:
                number += 1
            with pytest.raises(StoreUnavailable, match="cluster://"):
                await node.service.fetch(f"u{number}@x")
