"""The etcd client against real members: keys, leases, watches, and members that die or freeze."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import trustme

from cluster.errors import BadAddress, CoordinatorRefused, CoordinatorUnavailable
from cluster.etcd.gateway import Gateway
from cluster.etcd.lease import Lease
from cluster.etcd.watch import Batch, follow
from cluster.etcd.wire import absent, delete, get, put, unchanged
from cluster.events import CoordinatorBack, CoordinatorLost, Event
from cluster.settings import EtcdSettings
from tests.network.cluster_rig import until
from tests.stores import EtcdServer, etcd_cluster, running


@pytest.fixture(scope="module")
def etcd() -> Iterator[EtcdServer]:
    with EtcdServer() as server:
        yield server


@pytest.fixture
async def gateway(etcd: EtcdServer) -> AsyncIterator[Gateway]:
    made = Gateway(EtcdSettings(endpoints=(etcd.endpoint,)))
    yield made
    await made.close()


class Follower:
    """Collects what `follow` yields, applied to a picture of the keys."""

    def __init__(self, gateway: Gateway, prefix: str) -> None:
        self.batches: list[Batch] = []
        self.keys: dict[str, bytes] = {}
        self._task = asyncio.ensure_future(self._run(gateway, prefix))

    async def _run(self, gateway: Gateway, prefix: str) -> None:
        async for batch in follow(gateway, prefix):
            self.batches.append(batch)
            if batch.whole:
                self.keys.clear()
            for kv in batch.puts:
                self.keys[kv.key] = kv.value
            for key in batch.deletes:
                self.keys.pop(key, None)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_keys(gateway: Gateway) -> None:
    assert await gateway.get("k/none") is None
    first = await gateway.put("k/a", b"\x00\xff")
    await gateway.put("k/b", b"2")
    await gateway.put("l/c", b"3")
    found = await gateway.get("k/a")
    assert (found.value, found.mod_revision, found.version, found.lease) == (b"\x00\xff", first, 1, 0)
    keys, revision = await gateway.range("k/")
    assert [kv.key for kv in keys] == ["k/a", "k/b"] and revision >= first
    assert await gateway.delete("k/a") == 1
    assert await gateway.delete("k/a") == 0


async def test_transactions(gateway: Gateway) -> None:
    won = await gateway.txn([absent("t/x")], [put("t/x", b"me")], [get("t/x")])
    assert won.succeeded
    lost = await gateway.txn([absent("t/x")], [put("t/x", b"you")], [get("t/x")])
    assert not lost.succeeded and lost.keys()[0].value == b"me"
    stale = await gateway.txn([unchanged("t/x", won.revision - 1)], [delete("t/x")])
    assert not stale.succeeded
    assert (await gateway.txn([unchanged("t/x", won.revision)], [delete("t/x")])).succeeded
    assert await gateway.get("t/x") is None


async def test_a_lease_is_kept_and_its_keys_go_with_it(gateway: Gateway) -> None:
    lost: list[int] = []
    lease = await Lease.grant(gateway, 2, lambda: lost.append(1))
    await gateway.put("e/x", b"", lease.id)
    await asyncio.sleep(2.5)  # longer than the lease: that nothing happens has no event to wait for
    assert lease.sure and await gateway.get("e/x") is not None and not lost
    await lease.revoke()
    assert not lease.sure and await gateway.get("e/x") is None
    await gateway.revoke(lease.id)  # harmless
    assert await gateway.keep_alive(lease.id) == 0
    assert await gateway.time_to_live(lease.id) == -1


async def test_a_lease_that_etcd_dropped_is_reported(gateway: Gateway) -> None:
    lost = asyncio.Event()
    lease = await Lease.grant(gateway, 2, lost.set)
    await gateway.revoke(lease.id)
    await asyncio.wait_for(lost.wait(), 5)
    assert not lease.sure


async def test_the_holder_stops_before_the_lease_can_run_out() -> None:
    """Its own clock decides while etcd is frozen: not sure any more, before the two seconds are over."""
    with EtcdServer() as server:
        gateway = Gateway(EtcdSettings(endpoints=(server.endpoint,)))
        lost = asyncio.Event()
        began = time.monotonic()
        lease = await Lease.grant(gateway, 2, lost.set)
        server.freeze()
        await asyncio.wait_for(lost.wait(), 5)
        assert time.monotonic() - began < 2.0 and not lease.sure
        await gateway.close()


async def test_a_watch_sees_everything_once(gateway: Gateway) -> None:
    await gateway.put("w/before", b"0")
    follower = Follower(gateway, "w/")
    await until(lambda: follower.keys == {"w/before": b"0"})
    for number in range(20):
        await gateway.put(f"w/{number}", b"x" * 5000)
    await gateway.delete("w/before")
    await gateway.put("other", b"")
    await until(lambda: len(follower.keys) == 20 and "w/before" not in follower.keys)
    revisions = [batch.revision for batch in follower.batches]
    assert revisions == sorted(set(revisions))
    await follower.stop()


async def test_a_killed_etcd_is_found_again_and_the_watch_goes_on() -> None:
    with EtcdServer() as server:
        events: list[Event] = []
        gateway = Gateway(EtcdSettings(endpoints=(server.endpoint,), timeout=0.5), events.append)
        follower = Follower(gateway, "w/")
        await gateway.put("w/a", b"1")
        await until(lambda: "w/a" in follower.keys)
        server.kill()
        with pytest.raises(CoordinatorUnavailable):
            await gateway.get("w/a")
        assert not gateway.available
        server.start()
        assert (await gateway.get("w/a")).value == b"1"
        await gateway.put("w/b", b"2")
        await until(lambda: "w/b" in follower.keys)
        assert sum(batch.whole for batch in follower.batches) == 1  # resumed, not listed again
        assert [type(event) for event in events] == [CoordinatorLost, CoordinatorBack]
        await follower.stop()
        await gateway.close()


async def test_compacted_revisions_are_listed_anew(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = Follower(gateway, "c/")
    await until(lambda: follower.batches)
    await gateway.put("c/old", b"")
    await until(lambda: len(follower.batches) == 2)  # by the stream

    async def refuse(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patch:  # the stream ends, and comes back after the compaction
        patch.setattr(gateway, "open_stream", refuse)
        gateway.close_streams()
        await gateway.delete("c/old")
        revision = await gateway.put("c/new", b"2")
        await gateway.put("c/new", b"3")
        await gateway.request("/v3/kv/compaction", {"revision": str(revision + 1), "physical": True})
    await until(lambda: follower.keys == {"c/new": b"3"})
    assert [batch.whole for batch in follower.batches].count(True) == 2
    await follower.stop()


@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_the_leader_of_three_fails(fault: str) -> None:
    members = etcd_cluster(3)
    with running(*members):
        probe = {m: m.post("/v3/maintenance/status", {}) for m in members}
        leader = next(m for m, status in probe.items() if status["leader"] == status["header"]["member_id"])
        ordered = [leader, *(m for m in members if m is not leader)]
        events: list[Event] = []
        gateway = Gateway(EtcdSettings(endpoints=tuple(m.endpoint for m in ordered)), events.append)
        while gateway.endpoint != leader.endpoint:
            gateway.rotate(gateway.endpoint)
        follower = Follower(gateway, "w/")
        await gateway.put("w/a", b"1")
        await until(lambda: "w/a" in follower.keys)
        getattr(leader, fault)()
        await gateway.put("w/b", b"2")
        await until(lambda: "w/b" in follower.keys)
        assert gateway.endpoint != leader.endpoint
        assert not any(isinstance(event, CoordinatorLost) for event in events)
        await follower.stop()
        await gateway.close()


async def test_users_and_passwords() -> None:
    with EtcdServer(auth_token_ttl="2") as server:
        for path, body in (
            ("/v3/auth/user/add", {"name": "root", "password": "p"}),
            ("/v3/auth/role/add", {"name": "root"}),
            ("/v3/auth/user/grant", {"user": "root", "role": "root"}),
            ("/v3/auth/enable", {}),
        ):
            server.post(path, body)
        endpoints = (server.endpoint,)
        gateway = Gateway(EtcdSettings(endpoints=endpoints, username="root", password="p"))
        follower = Follower(gateway, "a/")
        await gateway.put("a/x", b"1")
        await until(lambda: "a/x" in follower.keys)
        server.restart()  # tokens are forgotten
        await gateway.put("a/y", b"1")
        await until(lambda: "a/y" in follower.keys)
        await follower.stop()
        await gateway.close()
        wrong = Gateway(EtcdSettings(endpoints=endpoints, username="root", password="q"))
        with pytest.raises(CoordinatorUnavailable, match="authentication failed"):
            await wrong.get("a/x")
        await wrong.close()
        nobody = Gateway(EtcdSettings(endpoints=endpoints))
        with pytest.raises(CoordinatorRefused, match="user name is empty"):
            await nobody.get("a/x")
        await nobody.close()


async def test_client_certificates(tmp_path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = ca.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "cert", "key")}
    with EtcdServer(
        scheme="https", cert_file=files["cert"], key_file=files["key"], trusted_ca_file=files["ca"],
        client_cert_auth="true",
    ) as server:  # fmt: skip
        gateway = Gateway(EtcdSettings(endpoints=(server.endpoint,), **files))
        await gateway.put("s", b"1")
        assert (await gateway.get("s")).value == b"1"
        await gateway.close()
        bare = Gateway(EtcdSettings(endpoints=(server.endpoint,), ca=files["ca"], timeout=0.3))
        with pytest.raises(CoordinatorUnavailable):
            await bare.get("s")
        await bare.close()
    with pytest.raises(BadAddress, match=r"\[etcd\] ca"):
        Gateway(EtcdSettings(endpoints=("https://127.0.0.1:1",), ca="/nowhere.pem"))
