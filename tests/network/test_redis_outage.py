"""Redis frozen, killed, restarted or refusing: 503 in time, calls to known phones go on, and it recovers."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator

import pytest
import trustme

from cluster.errors import BadAddress, StoreUnavailable
from cluster.events import StoreBack, StoreLost
from cluster.redis.address import ConnectionOptions
from cluster.redis.connection import Connection
from tests.network.cluster_rig import device, rig, unique_aor, until
from tests.stores import RedisServer, free_port, running


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer(persistent=True) as server:
        yield server


async def test_a_frozen_redis_is_unavailable_in_time_and_comes_back(redis: RedisServer) -> None:
    async with rig(redis.url) as node:
        known, unknown = unique_aor(), unique_aor()
        await node.put(known, device("x"))
        redis.freeze()
        began = time.monotonic()
        waiting = [node.put(known, device("x"), cseq=2), node.service.fetch(unknown)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert time.monotonic() - began < 2.0
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        assert not node.service.connected
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await node.service.fetch(unknown)
        assert time.monotonic() - began < 0.1  # nobody waits for what is known to be away
        assert node.service.cached(known) is None
        assert [b.key for b in node.service.last_known(known).bindings] == ["<x>"]
        assert [b.key for b in (await node.service.lookup(known)).bindings] == ["<x>"]
        redis.thaw()
        await until(lambda: node.service.connected)
        assert node.service.last_known(known) is None  # the truth can be read again
        assert await node.keys(known) == ["<x>"]
        kinds = [type(event) for event in node.events]
        assert kinds == [StoreLost, StoreBack]


async def test_last_known_bindings_expire(redis: RedisServer) -> None:
    async with rig(redis.url) as node:
        aor = unique_aor()
        await node.put(aor, device("brief"), ttl=300)
        redis.kill()
        await until(lambda: not node.service.connected)
        assert len(node.service.last_known(aor).bindings) == 1
        await until(lambda: node.service.last_known(aor).bindings == ())


async def test_a_restarted_redis_has_every_answered_registration(redis: RedisServer) -> None:
    """Killed with a load of REGISTERs under way; what was answered 200 must be there afterwards."""
    async with rig(redis.url) as node:
        answered: list[str] = []
        stop = False

        async def register(worker: int) -> None:
            number = 0
            while not stop:
                number += 1
                aor = f"w{worker}n{number}@load"
                try:
                    await node.put(aor, device("x"))
                    answered.append(aor)
                except StoreUnavailable:
                    await asyncio.sleep(0.01)

        workers = [asyncio.ensure_future(register(worker)) for worker in range(10)]
        await until(lambda: len(answered) > 200)
        await asyncio.get_running_loop().run_in_executor(None, redis.restart)
        before = len(answered)
        await until(lambda: len(answered) > before + 200)
        stop = True
        await asyncio.gather(*workers)
        missing = [aor for aor in answered if not redis.call("EXISTS", f"clarion:aor:{{{aor}}}")]
        assert missing == []


async def test_a_node_may_start_before_its_redis() -> None:
    server = RedisServer()
    with running(server):
        async with rig(server.url, timeout=0.5) as node:
            with pytest.raises(StoreUnavailable, match="no connection to Redis"):
                await node.put(unique_aor(), device("x"))
            server.start()
            await until(lambda: node.service.connected)
            assert not (await node.put(unique_aor(), device("x"))).refused


async def test_too_many_commands_in_flight_are_refused_at_once(redis: RedisServer) -> None:
    async def locate() -> tuple[str, int]:
        return redis.host, redis.port

    connection = Connection(locate, ConnectionOptions(limit=10))
    connection.start()
    assert await connection.ready(5)
    calls = [asyncio.ensure_future(connection.call("PING")) for _ in range(30)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
    assert 15 < len(refused) < 25 and "wait for Redis already" in str(refused[0])
    assert await connection.call("PING") == b"PONG"
    await connection.close()
    with pytest.raises(StoreUnavailable):
        await connection.call("PING")


async def test_passwords_and_acl_users() -> None:
    with RedisServer(requirepass="s3cret") as server:
        server.call("ACL", "SETUSER", "clarion", "on", ">pa:ss@word", "~clarion:*", "&clarion:*", "+@all")
        async with rig(server.url, password="s3cret") as node:
            assert not (await node.put(unique_aor(), device("x"))).refused
        async with rig(server.url, username="clarion", password="pa:ss@word") as node:
            assert not (await node.put(unique_aor(), device("x"))).refused
        async with rig(f"redis://clarion:pa%3Ass%40word@{server.host}:{server.port}") as node:
            assert node.service.connected
        async with rig(server.url, password="wrong", timeout=0.5) as node:
            with pytest.raises(StoreUnavailable, match="WRONGPASS"):
                await node.service.fetch("a@b")


async def test_tls_with_client_certificates(tmp_path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("server", "client"):
        issued = ca.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
    port = free_port()
    server = RedisServer(
        port, tls_port=str(port), tls_ca_cert_file=str(tmp_path / "ca.pem"),
        tls_cert_file=str(tmp_path / "server.pem"), tls_key_file=str(tmp_path / "server.key"),
        binary=shutil.which("redis-server") or "",
    )  # fmt: skip
    server.options["port"] = "0"
    with running(server):
        server.start(wait=False)
        await until(lambda: "accept connections" in server.log() or server.process.poll() is not None)
        if server.process.poll() is not None:
            if os.environ.get("CI") == "true":
                pytest.fail("this Redis is built without TLS")
            pytest.skip("this Redis is built without TLS")
        files = {name: str(tmp_path / file) for name, file in
                 (("ca", "ca.pem"), ("cert", "client.pem"), ("key", "client.key"))}  # fmt: skip
        url = f"rediss://127.0.0.1:{port}"
        async with rig(url, **files) as node:
            assert not (await node.put(unique_aor(), device("x"))).refused
        async with rig(url, ca=files["ca"], timeout=0.5) as node:  # without a client certificate
            assert not node.service.connected
        async with rig(url, timeout=0.5) as node:  # an unknown CA
            with pytest.raises(StoreUnavailable, match="certificate verify failed"):
                await node.service.fetch("a@b")


async def test_wrong_certificate_files_are_named() -> None:
    with pytest.raises(BadAddress, match=r"\[redis\] ca"):
        async with rig("rediss://127.0.0.1:1", ca="/nowhere.pem"):
            pass


async def test_a_registration_waits_for_its_replicas() -> None:
    with RedisServer() as master, RedisServer(replicaof=f"127.0.0.1 {master.port}") as replica:
        await until(lambda: "master_link_status:up" in replica.call("INFO", "replication"))
        async with rig(master.url, replicas=1) as node:
            aors = [unique_aor() for _ in range(50)]
            await asyncio.gather(*(node.put(aor, device("x")) for aor in aors))
            assert all(replica.call("EXISTS", f"clarion:aor:{{{aor}}}") for aor in aors)
            replica.freeze()
            began = time.monotonic()
            writing = asyncio.ensure_future(node.put(unique_aor(), device("x")))
            await asyncio.sleep(0)
            assert len((await node.service.fetch(aors[0])).bindings) == 1  # reads do not wait with it
            assert not writing.done()
            with pytest.raises(StoreUnavailable, match="0 replicas hold the write"):
                await writing
            assert time.monotonic() - began < 2.0
            replica.thaw()
            await node.put(unique_aor(), device("x"))


async def test_a_replica_is_no_master() -> None:
    with RedisServer() as master, RedisServer(replicaof=f"127.0.0.1 {master.port}") as replica:
        async with rig(replica.url, timeout=0.5) as node:
            with pytest.raises(StoreUnavailable, match="is a replica"):
                await node.service.fetch("a@b")
