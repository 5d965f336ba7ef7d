"""The dispatcher of 2,000 queued pushes is killed, stopped, or cut off: each is sent, few twice, none
confirmed twice, and a call push of another node never waits for the election."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cluster.push.partition import PARTITIONS
from tests.failover.push_worker import WIDTH
from tests.failover.severed import Severable
from tests.network.cluster_rig import until
from tests.network.push_rig import PushNode, node, push
from tests.stores import EtcdServer, RedisServer

PUSHES = 2000
IN_FLIGHT = 2 * WIDTH
"""What the feed hands to the sender at a time, and so what may be repeated."""


class Worker:
    """One child process, and what it wrote down."""

    def __init__(self, name: str, redis: str, etcd: str, folder: Path) -> None:
        self.log = folder / f"{name}.log"
        self.log.touch()
        root = Path(__file__).parents[2]
        command = [sys.executable, "-m", "tests.failover.push_worker", name, redis, etcd, str(self.log)]
        self.errors = (folder / f"{name}.err").open("wb")
        self.process = subprocess.Popen(command, cwd=root, stderr=self.errors)

    def lines(self, word: str) -> list[str]:
        """What it wrote behind that word, in order."""
        lines = self.log.read_text().splitlines()
        return [line.split(" ", 1)[1] for line in lines if line.startswith(word + " ")]

    @property
    def owns(self) -> int:
        return int((self.lines("owns") or ["0"])[-1].split()[0])

    def close(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self.errors.close()


class Stage:
    """The stores, a proxy in front of each for the dispatcher alone, and the dispatcher."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.redis: RedisServer = stack.enter_context(RedisServer())
        self.etcd: EtcdServer = stack.enter_context(EtcdServer())
        self.to_redis = stack.enter_context(Severable(self.redis.port))
        self.to_etcd = stack.enter_context(Severable(self.etcd.client_port))
        self.folder = folder
        self._stack = stack

    def dispatcher(self) -> Worker:
        worker = Worker(
            "first",
            f"redis://127.0.0.1:{self.to_redis.port}",
            f"http://127.0.0.1:{self.to_etcd.port}",
            self.folder,
        )
        self._stack.callback(worker.close)
        return worker

    def successor(self) -> Worker:
        worker = Worker("second", self.redis.url, self.etcd.endpoint, self.folder)
        self._stack.callback(worker.close)
        return worker

    def left(self) -> int:
        return sum(self.redis.call("XLEN", f"clarion:push:{{push:{n:02}}}") for n in range(PARTITIONS))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack, tmp_path)


def killed(_: Stage, worker: Worker) -> None:
    worker.process.kill()


def stopped(_: Stage, worker: Worker) -> None:
    worker.process.send_signal(signal.SIGSTOP)


def cut_from_etcd(stage: Stage, _: Worker) -> None:
    stage.to_etcd.cut()


def cut_from_redis(stage: Stage, _: Worker) -> None:
    stage.to_redis.cut()


def nothing(_: Stage, __: Worker) -> None:
    """The dead stay dead."""


def woken(_: Stage, worker: Worker) -> None:
    worker.process.send_signal(signal.SIGCONT)


def mended(stage: Stage, _: Worker) -> None:
    stage.to_etcd.mend()
    stage.to_redis.mend()


async def queued(origin: PushNode, count: int) -> list[str]:
    pushes = [push() for _ in range(count)]
    told = await asyncio.gather(*(origin.send(one) for one in pushes))
    assert set(told) == {""}
    return [one.id for one in pushes]


@pytest.mark.parametrize(
    ("harm", "recover"),
    [(killed, nothing), (stopped, woken), (cut_from_etcd, mended), (cut_from_redis, mended)],
    ids=["kill -9", "SIGSTOP and SIGCONT", "cut from etcd", "cut from Redis"],
)
async def test_every_push_is_sent_and_none_confirmed_twice(
    stage: Stage, harm: Callable[[Stage, Worker], None], recover: Callable[[Stage, Worker], None]
) -> None:
    first = stage.dispatcher()
    await until(lambda: first.owns == PARTITIONS)
    # the origin only queues: it never dispatches, and a long takeover keeps it from helping
    async with node("origin", stage.redis.url, stage.etcd.endpoint, takeover=10.0) as origin:
        await origin.service._election.drain()
        await until(lambda: first.owns == PARTITIONS)
        identities = await queued(origin, PUSHES)
        await until(lambda: len(first.lines("sent")) > PUSHES // 20)
        second = stage.successor()
        await until(lambda: second.owns > 0)
        harm(stage, first)
        begin, before = time.monotonic(), len(first.lines("sent"))
        call = push()
        assert await origin.send(call) == ""
        await until(lambda: call.id in first.lines("sent") + second.lines("sent"), 30)
        waited = time.monotonic() - begin
        await until(lambda: stage.left() < PUSHES // 4 or not stage.left(), 60)
        recover(stage, first)
        await until(lambda: not stage.left(), 60)
        assert origin.sender.sent == []
    sent = Counter(first.lines("sent") + second.lines("sent"))
    confirmed = Counter(first.lines("confirmed") + second.lines("confirmed"))
    repeats = sum(count - 1 for count in sent.values())
    print(f"\nharmed after {before}; {repeats} repeats; the call push waited {waited:.2f} s; ", end="")
    print(f"{len(first.lines('sent'))} + {len(second.lines('sent'))} sent")
    assert set(sent) == {*identities, call.id}
    assert repeats <= IN_FLIGHT
    assert set(confirmed.values()) == {1}
    assert len(confirmed) >= PUSHES + 1 - IN_FLIGHT  # the dead may not have lived to note it


@pytest.mark.parametrize("harm", [killed, stopped, cut_from_redis, cut_from_etcd])
async def test_a_call_push_does_not_wait_for_the_election(
    stage: Stage, harm: Callable[[Stage, Worker], None]
) -> None:
    """There is nobody to succeed: who queued it sends it after `takeover` (1 s)."""
    first = stage.dispatcher()
    await until(lambda: first.owns == PARTITIONS)
    async with node("origin", stage.redis.url, stage.etcd.endpoint, takeover=1.0) as origin:
        await origin.service._election.drain()
        await until(lambda: first.owns == PARTITIONS)
        begun: dict[str, float] = {}
        waits: list[float] = []
        origin.sender.on_sent = lambda one: waits.append(time.monotonic() - begun[one.id])
        harm(stage, first)
        for _ in range(50):
            one = push()
            begun[one.id] = time.monotonic()
            assert await origin.send(one) == ""
            await asyncio.sleep(0.05)
        await until(lambda: not stage.left(), 20)
        sent = Counter(first.lines("sent") + origin.sender.sent)
        assert set(sent) == set(begun)
        print(f"\nsent by its origin: {len(waits)}, slowest {max(waits, default=0):.2f} s")
        assert sum(count - 1 for count in sent.values()) <= IN_FLIGHT
        assert os.getpgid(first.process.pid)  # it was ours to harm
