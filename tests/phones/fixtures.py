"""Fixtures of all tests that need running servers and phones; a `conftest.py` imports what its tests use.

PHONES_SERVER=kamailio puts one Kamailio in the place of every node, which proves drivers and scenarios
themselves.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.phones.baresip import Baresip
from tests.phones.certificates import Certificates, make_certificates
from tests.phones.clarion import ClarionNode, Options
from tests.phones.kamailio import KamailioNode
from tests.phones.linphone import Linphone
from tests.stores import EtcdServer, RedisServer

REFERENCE = os.environ.get("PHONES_SERVER") == "kamailio"
Node = ClarionNode | KamailioNode
Phone = Linphone | Baresip
_users = itertools.count(1)


class Stores(NamedTuple):
    redis: RedisServer
    etcd: EtcdServer


class Cluster(NamedTuple):
    """Two nodes on one Redis and one etcd."""

    a: Node
    b: Node


def new_user(name: str) -> str:
    """A user name that no other test of this run has."""
    return f"{name}{os.getpid()}x{next(_users)}"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def stores() -> Iterator[Stores]:
    """A real Redis that keeps its data, and a real etcd."""
    with RedisServer(persistent=True) as redis, EtcdServer() as etcd:
        yield Stores(redis, etcd)


def on(stores: Stores, certificates: Certificates, name: str, options: Options | None = None) -> ClarionNode:
    """A node on these stores."""
    return ClarionNode(
        certificates, name=name, redis=stores.redis.url, etcd=[stores.etcd.endpoint], options=options
    )


@pytest.fixture(scope="module")
def node(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Node]:
    """One node for all tests of a file."""
    if REFERENCE:
        reference = KamailioNode(request.getfixturevalue("tmp_path_factory").mktemp("node"), certificates)
        yield reference
        reference.stop()
        return
    made = on(request.getfixturevalue("stores"), certificates, f"n{next(_users)}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Cluster]:
    """Two nodes for all tests of a file."""
    if REFERENCE:
        reference = KamailioNode(request.getfixturevalue("tmp_path_factory").mktemp("node"), certificates)
        yield Cluster(reference, reference)
        reference.stop()
        return
    stores, number = request.getfixturevalue("stores"), next(_users)
    a = on(stores, certificates, f"a{number}")
    try:
        b = on(stores, certificates, f"b{number}")
        yield Cluster(a, b)
        b.close()
    finally:
        a.close()


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Callable[..., Phone]]:
    """Makes real phones, `phone(Linphone, "alice", "tls", node)`, and ends them with the test."""
    made: list[Phone] = []

    def make(kind: type[Phone], user: str, transport: str, node: Node, **more: object) -> Phone:
        one = kind(tmp_path, new_user(user), transport, node.address(transport), ca=node.ca, **more)
        made.append(one)
        return one

    yield make
    for one in made:
        one.quit()
    for one in made:
        one.stop()
