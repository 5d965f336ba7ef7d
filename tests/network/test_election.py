"""Terms on real etcd: spread, moved, taken over, ended before another can begin."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Iterator

import pytest

from cluster.election.election import Election
from cluster.election.term import Term
from cluster.etcd.gateway import Gateway
from cluster.etcd.wire import delete
from cluster.push.partition import PARTITIONS
from cluster.settings import EtcdSettings
from tests.network.cluster_rig import until
from tests.stores import EtcdServer


@pytest.fixture
def etcd() -> Iterator[EtcdServer]:
    with EtcdServer() as server:
        yield server


class Candidate:
    """One node's election, and its terms as it was told of them."""

    def __init__(self, name: str, etcd: EtcdServer) -> None:
        self.gateway = Gateway(EtcdSettings(endpoints=(etcd.endpoint,), timeout=0.5))
        self.terms: dict[int, Term] = {}
        self.fences: list[int] = []
        self.reasons: list[str] = []
        self.fit = True
        self.election = Election(
            self.gateway,
            "/clarion/",
            "push",
            PARTITIONS,
            name,
            1,
            self._elected,
            self._over,
            lambda: self.fit,
        )

    def _elected(self, terms: list[Term]) -> None:
        for term in terms:
            assert term.partition not in self.terms
            self.terms[term.partition] = term
            self.fences.append(term.fence)

    def _over(self, terms: list[Term], reason: str) -> Awaitable[None]:
        for term in terms:
            assert self.terms.pop(term.partition) is term
            term.ended = True
        self.reasons.append(reason)
        known: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        known.set_result(None)
        return known


@contextlib.asynccontextmanager
async def candidate(name: str, etcd: EtcdServer) -> AsyncIterator[Candidate]:
    made = Candidate(name, etcd)
    made.election.start()
    try:
        yield made
    finally:
        await made.election.close()
        await made.gateway.close()


def spread(*candidates: Candidate) -> bool:
    """Whether each has its share, and every partition one dispatcher."""
    partitions = sorted(n for one in candidates for n in one.terms)
    most = -(-PARTITIONS // len(candidates))
    return partitions == list(range(PARTITIONS)) and all(len(one.terms) <= most for one in candidates)


async def test_partitions_follow_the_nodes(etcd: EtcdServer) -> None:
    async with candidate("a", etcd) as a:
        await until(lambda: spread(a))
        first = max(a.fences)
        async with candidate("b", etcd) as b:
            await until(lambda: spread(a, b))
            assert min(b.fences) > first  # a fence grows with every term
            async with candidate("c", etcd) as c:
                await until(lambda: spread(a, b, c))
                await until(lambda: len({n.node for n in a.election.holders.values()}) == 3)
                await c.election.drain()
                assert not c.terms
                await until(lambda: spread(a, b))
                assert "this node drains" in c.reasons
        await until(lambda: spread(a))
        assert all(term.sure for term in a.terms.values())


async def test_a_dead_node_is_replaced_when_its_lease_has_run_out(etcd: EtcdServer) -> None:
    async with candidate("a", etcd) as a, candidate("b", etcd) as b:
        await until(lambda: spread(a, b))
        died = time.monotonic()
        for task in b.election._tasks:
            task.cancel()
        await b.election._lease.close()  # type: ignore[union-attr]
        await until(lambda: spread(a))
        print(f"taken over after {time.monotonic() - died:.2f} s")
        assert not any(term.sure for term in b.terms.values())


async def test_without_etcd_all_terms_end_and_come_back(etcd: EtcdServer) -> None:
    async with candidate("a", etcd) as a:
        await until(lambda: spread(a))
        before = list(a.terms.values())
        etcd.freeze()
        try:
            await until(lambda: not a.terms)
            assert a.reasons == ["etcd did not renew the lease in time"]
            assert not any(term.sure for term in before)
        finally:
            etcd.thaw()
        await until(lambda: spread(a))
        assert min(term.fence for term in a.terms.values()) > max(term.fence for term in before)


async def test_a_node_without_redis_leaves_its_partitions_to_others(etcd: EtcdServer) -> None:
    async with candidate("a", etcd) as a, candidate("b", etcd) as b:
        await until(lambda: spread(a, b))
        b.fit = False
        await until(lambda: spread(a))
        b.fit = True
        await until(lambda: spread(a, b))


async def test_a_deleted_key_ends_the_term_and_a_greater_fence_is_passed(etcd: EtcdServer) -> None:
    async with candidate("a", etcd) as a:
        await until(lambda: spread(a))
        old = a.terms[4]
        await a.gateway.txn([], [delete("/clarion/push/04")])
        await until(lambda: a.terms.get(4) not in (None, old))
        assert a.terms[4].fence > old.fence
        a.election.outdone(a.terms[4], 1_000_000)
        await until(lambda: 4 in a.terms and a.terms[4].fence == 1_000_001)
