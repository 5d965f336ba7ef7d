"""A thousand calls through two nodes: callees registered at one, callers at the other."""

from pathlib import Path

import pytest

from tests.phones.fixtures import Cluster
from tests.sipp.sipp import Sipp, write_users

pytestmark = pytest.mark.real_clients
CALLS = 1000
RATE = 200


def test_a_thousand_calls_from_one_node_to_the_other(cluster: Cluster, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    write_users(users, 100)
    callee = Sipp(tmp_path, "answer")
    callers: list[Sipp] = []
    try:
        registrations = Sipp(
            tmp_path,
            "register",
            server=cluster.a.address("udp"),
            users=users,
            count=100,
            rate=100,
            keys={"contact": callee.contact},
        )
        callers.append(registrations)
        assert registrations.finish().flawless(100), registrations.evidence(repr(registrations.figures()))
        calls = Sipp(tmp_path, "call", server=cluster.b.address("udp"), users=users, count=CALLS, rate=RATE)
        callers.append(calls)
        seen = calls.finish(60)
        assert seen.flawless(CALLS), calls.evidence(repr(seen))
        answered = callee.end()
        assert answered.flawless(CALLS), callee.evidence(repr(answered))
    finally:
        for program in (*callers, callee):
            program.stop()
