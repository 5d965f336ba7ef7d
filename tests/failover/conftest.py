"""Fixtures of the tests in this folder: processes are killed here, so every test has its own servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.phones.certificates import Certificates
from tests.phones.clarion import ClarionNode
from tests.phones.fixtures import Stores, certificates
from tests.stores import EtcdServer, RedisServer

__all__ = ["certificates"]
StartNode = Callable[..., ClarionNode]


@pytest.fixture
def own_stores() -> Iterator[Stores]:
    """A Redis that syncs every write to disk and an etcd, for one test."""
    with RedisServer(persistent=True) as redis, EtcdServer() as etcd:
        yield Stores(redis, etcd)


@pytest.fixture
def start_node(own_stores: Stores, certificates: Certificates) -> Iterator[StartNode]:
    """Starts nodes on these stores, `start_node("a")`, and ends them with the test."""
    with ExitStack() as stack:

        def start(name: str) -> ClarionNode:
            node = ClarionNode(
                certificates,
                name=name,
                redis=own_stores.redis.url,
                etcd=[own_stores.etcd.endpoint],
                options={"etcd": {"lease_ttl": 2}, "registrar": {"min_expires": 1}},
            )
            stack.callback(node.close)
            return node

        yield start
