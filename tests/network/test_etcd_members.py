"""Membership on real etcd: nodes come, go, die, lose etcd and find it again."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from cluster.errors import NameTaken
from cluster.events import Event, MemberJoined, MemberLost
from cluster.incarnation import surely_dead, this_process
from cluster.membership import Member, Members
from cluster.settings import EtcdSettings
from tests.network.cluster_rig import until
from tests.stores import EtcdServer, etcd_cluster, free_port, running


@pytest.fixture
def etcd() -> Iterator[EtcdServer]:
    with EtcdServer() as server:
        yield server


class Node:
    """One membership with what it told."""

    def __init__(self, *endpoints: str, ttl: int = 2) -> None:
        self.events: list[Event] = []
        self.members = Members(
            EtcdSettings(endpoints=endpoints, lease_ttl=ttl, timeout=0.5), self.events.append
        )

    async def __aenter__(self) -> "Node":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.members.leave()

    def sees(self, name: str, epoch: str) -> str:
        return self.members.state(name, epoch)


async def test_nodes_see_each_other_come_drain_and_go(etcd: EtcdServer) -> None:
    async with Node(etcd.endpoint) as a, Node(etcd.endpoint) as b:
        assert await a.members.join(Member("a", "a1", "tcp:127.0.0.1:5070", "1.0", 7))
        assert await b.members.join(Member("b", "b1"))
        assert b.members.snapshot["a"].internal == "tcp:127.0.0.1:5070"  # there as soon as it has joined
        await until(lambda: a.sees("b", "b1") == "alive")
        before = a.members.snapshot
        await b.members.set_draining()
        await until(lambda: a.members.snapshot["b"].draining)
        assert not before["b"].draining  # a snapshot is replaced, never changed
        assert a.sees("b", "b0") == "dead"  # another incarnation has its place
        assert a.sees("c", "c1") == "unknown"
        assert a.members.connected
        await b.members.leave()
        await until(lambda: a.sees("b", "b1") == "dead")
        assert [type(e) for e in a.events if getattr(e, "name", "") == "b"] == [MemberJoined, MemberLost]
        await b.members.leave()  # harmless


async def test_a_living_holder_keeps_its_name(etcd: EtcdServer) -> None:
    async with Node(etcd.endpoint) as a, Node(etcd.endpoint) as impostor:
        await a.members.join(Member("a", "a1", "tcp:127.0.0.1:5070"))
        with pytest.raises(
            NameTaken, match=r"\[node\] name 'a' is held by a living node .*tcp:127.0.0.1:5070"
        ):
            await impostor.members.join(Member("a", "a2"))
        assert a.sees("a", "a1") == "alive"


_NODE = """
import asyncio, sys
from cluster.membership import Member, Members
from cluster.settings import EtcdSettings

async def main():
    members = Members(EtcdSettings(endpoints=(sys.argv[1],), lease_ttl=int(sys.argv[3])))
    print(await members.join(Member("b", sys.argv[2])), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def _start(etcd: EtcdServer, epoch: str, ttl: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _NODE, etcd.endpoint, epoch, str(ttl)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "True\n"
    return child


async def test_a_killed_node_vanishes_when_its_lease_runs_out(etcd: EtcdServer) -> None:
    async with Node(etcd.endpoint) as a:
        await a.members.join(Member("a", "a1"))
        with _start(etcd, "b1", 2) as child:
            await until(lambda: a.sees("b", "b1") == "alive")
            child.send_signal(signal.SIGKILL)
        await until(lambda: a.sees("b", "b1") == "dead")


async def test_a_killed_node_may_start_again_at_once(etcd: EtcdServer) -> None:
    """Its old key is still there for a minute, but its process surely is not."""
    async with Node(etcd.endpoint) as a:
        await a.members.join(Member("a", "a1"))
        with _start(etcd, "b1", 60) as child:
            await until(lambda: a.sees("b", "b1") == "alive")
            child.send_signal(signal.SIGKILL)
        with _start(etcd, "b2", 60) as child:
            await until(lambda: a.sees("b", "b2") == "alive")
            assert a.sees("b", "b1") == "dead"
            child.send_signal(signal.SIGKILL)


async def test_the_last_snapshot_stands_while_etcd_is_away(etcd: EtcdServer) -> None:
    """Frozen for longer than the leases last; nobody is taken for dead, before, during or after."""
    async with Node(etcd.endpoint) as a, Node(etcd.endpoint) as b:
        await a.members.join(Member("a", "a1"))
        await b.members.join(Member("b", "b1"))
        await until(lambda: a.sees("b", "b1") == "alive")
        etcd.freeze()
        await until(lambda: not a.members.connected and not b.members.connected)
        await asyncio.sleep(2)
        await b.members.set_draining()
        assert a.sees("b", "b1") == "alive"
        etcd.thaw()
        await until(lambda: a.members.connected and b.members.connected)
        await until(lambda: a.members.snapshot["b"].draining)  # it has joined again, with what changed
        for node in (a, b):
            assert not any(isinstance(event, MemberLost) for event in node.events)


async def test_an_emptied_etcd_gets_its_members_back(etcd: EtcdServer) -> None:
    async with Node(etcd.endpoint) as a, Node(etcd.endpoint) as b:
        await a.members.join(Member("a", "a1"))
        await b.members.join(Member("b", "b1"))
        await until(lambda: a.sees("b", "b1") == "alive")
        empty = EtcdServer(client_port=etcd.client_port)
        etcd.kill()
        with running(empty):
            empty.start()
            await until(lambda: len(_names(empty)) == 2)
            await until(lambda: a.members.connected and b.members.connected)
            for node in (a, b):
                assert not any(isinstance(event, MemberLost) for event in node.events)


def _names(etcd: EtcdServer) -> list[object]:
    return etcd.post("/v3/kv/range", {"key": "AA==", "range_end": "AA=="}).get("kvs", [])


async def test_a_node_goes_on_without_etcd_and_joins_when_it_comes() -> None:
    server = EtcdServer()
    with running(server):
        async with Node(server.endpoint) as a:
            assert not await a.members.join(Member("a", "a1"), patience=0.3)
            assert not a.members.connected
            server.start()
            await until(lambda: a.members.connected and a.sees("a", "a1") == "alive")


@pytest.mark.parametrize("fault", ["kill", "freeze"])
async def test_one_of_three_etcd_members_fails(fault: str) -> None:
    servers = etcd_cluster(3)
    with running(*servers):
        endpoints = [server.endpoint for server in servers]
        async with Node(*endpoints, ttl=5) as a, Node(*endpoints, ttl=5) as b:
            await a.members.join(Member("a", "a1"))
            await b.members.join(Member("b", "b1"))
            await until(lambda: a.sees("b", "b1") == "alive")
            used = a.members.gateway.endpoint
            getattr(next(server for server in servers if server.endpoint == used), fault)()
            await b.members.set_draining()
            await until(lambda: a.members.snapshot["b"].draining)
            assert a.members.connected
            assert not any(isinstance(event, MemberLost) for event in a.events)


async def test_leaving_is_quick_when_etcd_is_gone() -> None:
    node = Node(f"http://127.0.0.1:{free_port()}")
    await node.members.join(Member("a", "a1"), patience=0.1)
    began = time.monotonic()
    await node.members.leave()
    assert time.monotonic() - began < 3


def test_a_process_is_only_dead_when_that_is_sure() -> None:
    mine = this_process()
    assert not surely_dead(mine)
    boot_and_space, pid, started = mine.rsplit(":", 2)
    assert surely_dead(f"{boot_and_space}:{pid}:1")  # the number was given to another process
    assert surely_dead(f"{boot_and_space}:4194305:{started}")  # beyond the largest there can be
    assert not surely_dead(f"another-boot:pid:[1]:{pid}:1")
    for nonsense in ("", "x", "::", ":::::"):
        assert not surely_dead(nonsense)
