"""A collector is killed, or stopped and woken, in the middle of a sweep: another begins anew, and what has
expired leaves once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.collect.sweep import SCRIPTS_AT_ONCE
from tests.network.cluster_rig import Rig, device, rig, until
from tests.stores import EtcdServer, RedisServer

USERS = 3000
ROOT = Path(__file__).parents[2]


class Worker:
    """One child process, and what it wrote down."""

    def __init__(self, name: str, redis: RedisServer, etcd: EtcdServer, folder: Path) -> None:
        self.log = folder / f"{name}.log"
        self.log.touch()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.failover.collect_worker", name, redis.url, etcd.endpoint, self.log],
            cwd=ROOT,
        )

    def lines(self, word: str) -> list[str]:
        """What it wrote behind that word, in order."""
        lines = self.log.read_text().splitlines()
        return [line.split(" ", 1)[1] for line in lines if line.startswith(word + " ")]

    def close(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def worker(name: str, redis: RedisServer, etcd: EtcdServer, folder: Path) -> Iterator[Worker]:
    made = Worker(name, redis, etcd, folder)
    try:
        yield made
    finally:
        made.close()


async def fill(node: Rig) -> None:
    """All have expired when it returns."""
    for start in range(0, USERS, 500):
        names = (f"user{number}@example.org" for number in range(start, start + 500))
        await asyncio.gather(*(node.put(name, device("phone"), ttl=1) for name in names))
    end = node.service.now_ms() + 2
    await until(lambda: node.service.now_ms() > end)


def told(*workers: Worker) -> Counter[str]:
    """How often each user's expiry was told."""
    return Counter(aor for one in workers for aor in one.lines("expired"))


def left(redis: RedisServer) -> int:
    """Users whose binding is still there."""
    return sum(
        redis.call("HLEN", f"clarion:aor:{{user{n}@example.org}}") == 1
        and not redis.call("HEXISTS", f"clarion:aor:{{user{n}@example.org}}", ":seen")
        for n in range(USERS)
    )


@pytest.mark.parametrize("harm", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_begins_anew_and_nothing_leaves_twice(harm: signal.Signals, tmp_path: Path) -> None:
    least = (
        USERS - SCRIPTS_AT_ONCE
    )  # what Redis took out for the dead one is told by nobody, if it was not read
    with RedisServer() as redis, EtcdServer() as etcd:
        async with rig(redis.url, keep=3600.0) as node:
            await fill(node)
        with worker("first", redis, etcd, tmp_path) as first:
            await until(lambda: len(first.lines("expired")) > USERS // 10)
            first.process.send_signal(harm)
            before = len(first.lines("expired"))
            assert before < USERS
            with worker("second", redis, etcd, tmp_path) as second:
                await until(lambda: told(first, second).total() >= least, 60)
                await until(lambda: not left(redis))
                if harm is signal.SIGSTOP:
                    first.process.send_signal(signal.SIGCONT)
                    await until(lambda: first.lines("resigned"))
                    least = USERS  # it reads what Redis had answered, and tells of it
                    await until(lambda: told(first, second).total() >= least)
                assert int(second.lines("elected")[0]) > int(first.lines("elected")[0])
                counts = told(first, second)
    print(f"\n{harm.name}: {before} told by the first, {counts.total() - before} by the other")
    assert set(counts.values()) == {1}  # each left by one script, and was told once
    assert len(counts) >= least
