"""CPU of the node and of Redis for a MESSAGE: taken at once, kept and its push sent, delivered later."""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import redis as redis_client

from cluster.location.binding import Binding
from cluster.location.service import Change, LocationService
from cluster.settings import RedisSettings
from loadtests.compare.cpu import cpu_seconds, load_cpu, server_cpu
from loadtests.messages.phones import Phones
from loadtests.push.__main__ import APP, Sink
from tests.phones.certificates import make_certificates
from tests.phones.clarion import ClarionNode
from tests.stores import EtcdServer, RedisServer

DOMAIN = "test.example"
INSTANCE = "<urn:uuid:00000000-0000-0000-0000-000000000001>"
GOAL_CPU, GOAL_BYTES = 120, 2048  # us and bytes for each stored message
WARM = 300  # messages before each measurement


class Cost(NamedTuple):
    """us of CPU for each message."""

    node: float
    redis: float

    @property
    def all(self) -> float:
        return self.node + self.redis


class Bench:
    """A node, its stores, and the phones."""

    def __init__(self, node: ClarionNode, redis: RedisServer, options: argparse.Namespace) -> None:
        self.node = node
        self.redis = redis
        self.rate: int = options.rate
        self.count: int = options.count
        self.queue: int = options.queue
        self.body = b"x" * options.body
        self.client = redis_client.Redis.from_url(redis.url)

    async def phones(self) -> Phones:
        loop = asyncio.get_running_loop()
        _, phones = await loop.create_datagram_endpoint(
            lambda: Phones(DOMAIN, self.body), remote_addr=self.node.address("udp")
        )
        return phones

    def spent(self) -> tuple[float, float]:
        return cpu_seconds([self.node.pid]), cpu_seconds([self.redis.pid])

    def cost(self, before: tuple[float, float], count: int) -> Cost:
        node, store = self.spent()
        return Cost(1e6 * (node - before[0]) / count, 1e6 * (store - before[1]) / count)

    def memory(self) -> int:
        found: int = self.client.info("memory")["used_memory"]  # type: ignore[index, assignment]
        return found

    async def online(self) -> Cost:
        """To phones that take it at once: nothing is kept."""
        phones = await self.phones()
        users = [f"on{number}" for number in range(200)]
        for user in users:
            phones.register(user, INSTANCE)
        await phones.until(answers=len(users))
        await phones.run(users, WARM, self.rate)
        before = self.spent()
        await phones.run(users, self.count, self.rate)
        cost = self.cost(before, self.count)
        expect(phones, {200: len(users) + WARM + self.count})
        phones.transport.close()
        return cost

    async def stored(self, users: list[str]) -> tuple[Cost, float]:
        """To phones that sleep. Returns bytes of Redis for each, too."""
        phones = await self.phones()
        await phones.run(users, WARM, self.rate)
        memory, before = self.memory(), self.spent()
        await phones.run(users, self.count, self.rate)
        await self.quiet()
        cost = self.cost(before, self.count)
        expect(phones, {202: WARM + self.count})
        phones.transport.close()
        return cost, (self.memory() - memory) / self.count

    async def drained(self, user: str) -> tuple[Cost, float, float]:
        """One phone comes back to a long queue. Returns bytes of Redis each, and messages a second, too."""
        phones = await self.phones()
        memory = self.memory()
        await phones.run([user], self.queue, self.rate)
        size = (self.memory() - memory) / self.queue
        before, start = self.spent(), time.monotonic()
        phones.register(user, INSTANCE)
        await phones.until(taken=self.queue)
        took = time.monotonic() - start
        await self.quiet()
        cost = self.cost(before, self.queue)
        expect(phones, {202: self.queue, 200: 1})
        if phones.taken != self.queue or self.client.exists(f"clarion:messages:{{{user}@{DOMAIN}}}"):
            raise SystemExit(f"{phones.taken} of {self.queue} messages came, and the queue is not empty")
        phones.transport.close()
        return cost, size, self.queue / took

    async def quiet(self) -> None:
        """Until the node has done what follows: pushes, confirmations."""
        last = -1.0
        while (spent := sum(self.spent())) - last > 0.01:
            last = spent
            await asyncio.sleep(0.3)


def expect(phones: Phones, answers: dict[int, int]) -> None:
    """All went as it should, or the figures mean nothing."""
    got = {status: count for status, count in phones.answers.items() if status >= 200}
    if got != answers:
        raise SystemExit(f"expected {answers}, got {phones!r}")


async def sleepers(redis: RedisServer, names: list[str], push: bool) -> None:
    """Registered users whose phones are unreachable; with `push` they can be woken."""
    locations = LocationService(RedisSettings(url=redis.url))
    await locations.start()
    for number, user in enumerate(names):
        param, token = f"TEAM123456.{APP}", f"{number:064x}"
        address = {
            "prid": f"apns:{param}:{token}",
            "push": {"pn-provider": "apns", "pn-param": param, "pn-prid": token},
        }
        binding = Binding(
            key=INSTANCE, uri=f"sip:{user}@192.0.2.1;transport=tcp", instance=INSTANCE, node="gone",
            epoch="gone", flow="x", reliable=True, **(address if push else {}),
        )  # fmt: skip
        change = Change(binding, 3_600_000, 3_600_000)
        await locations.register(f"{user}@{DOMAIN}", [change], max_contacts=1, call_id="1", cseq=1)
    await locations.close()


async def measure(bench: Bench) -> int:
    """Prints the table; 1 where a goal is missed."""
    names = [[f"{kind}{number}" for number in range(500)] for kind in ("plain", "woken")]
    await sleepers(bench.redis, [*names[0], "long"], push=False)
    await sleepers(bench.redis, names[1], push=True)
    online = await bench.online()
    line("to an online phone, taken", online)
    plain, size = await bench.stored(names[0])
    line("stored for a phone without push", plain, f"{size:.0f} bytes of Redis each, 500 queues")
    woken, _ = await bench.stored(names[1])
    line("stored, push queued and sent", woken)
    drained, long_size, speed = await bench.drained("long")
    note = f"{long_size:.0f} bytes of Redis each, one queue of {bench.queue}; {speed:.0f} a second"
    line("delivered later", drained, note)
    whole = plain.all + drained.all
    line("stored and delivered", Cost(plain.node + drained.node, plain.redis + drained.redis))
    line("the same with its push", Cost(woken.node + drained.node, woken.redis + drained.redis))
    largest = max(size, long_size)
    print(
        f"goals: stored and delivered {whole:.0f} us of {GOAL_CPU} "
        f"({verdict(whole, GOAL_CPU)}), with its push {woken.all + drained.all:.0f}; "
        f"Redis {largest:.0f} bytes of {GOAL_BYTES} ({verdict(largest, GOAL_BYTES)})",
        flush=True,
    )
    return 0


def line(what: str, cost: Cost, note: str = "") -> None:
    print(f"{what:32} {cost.node:7.1f} {cost.redis:7.1f} {cost.all:7.1f}   {note}".rstrip(), flush=True)


def verdict(value: float, goal: float) -> str:
    return "met" if value <= goal else "missed"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.messages", description=__doc__)
    parser.add_argument("--rate", type=int, default=2000, help="messages a second")
    parser.add_argument("--count", type=int, default=5000, help="messages of each measurement")
    parser.add_argument("--queue", type=int, default=1000, help="messages that wait for one phone")
    parser.add_argument("--body", type=int, default=500, help="bytes of text in each")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        redis = stack.enter_context(RedisServer())
        etcd = stack.enter_context(EtcdServer())
        sink = Sink(folder)
        stack.callback(sink.end)
        node = ClarionNode(
            make_certificates(folder / "tls"), name="bench", redis=redis.url, etcd=[etcd.endpoint],
            options={
                "node": {"domains": [DOMAIN]}, "push": {"ca": sink.ca}, f'apns."{APP}"': sink.app(),
                "storage": {"collect": False},
            },
            cpu=server_cpu(),
        )  # fmt: skip
        stack.callback(node.close)
        if (cpu := load_cpu()) is not None:
            os.sched_setaffinity(0, {cpu})
        print(f"{f'MESSAGE of {options.body} bytes, us CPU each':32}    node   redis  in all", flush=True)
        return asyncio.run(measure(Bench(node, redis, options)))


if __name__ == "__main__":
    sys.exit(main())
