"""CPU of a push from queue to confirmation, and the time from an INVITE to its push at the provider."""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from cluster.location.binding import Binding
from cluster.location.service import Change, LocationService
from cluster.settings import RedisSettings
from loadtests.compare.cpu import cpu_seconds, load_cpu, server_cpu
from tests.phones.certificates import make_certificates
from tests.phones.clarion import ClarionNode
from tests.standins.process import StandInProcess
from tests.stores import EtcdServer, RedisServer

APP = "org.example.bench"
PATIENCE = 15.0


class Sink:
    """The provider, on the CPU of the load: it accepts everything and notes when each push came."""

    def __init__(self, folder: Path) -> None:
        self.process = StandInProcess("apns", folder, fast=True, cpu=load_cpu())
        self.ca = self.process.ca

    def app(self) -> dict[str, str]:
        (found,) = (values for name, values in self.process.options().items() if name.startswith("apns."))
        return found

    def end(self) -> list[tuple[str, float]]:
        """Token and time of every push that came."""
        self.process.stop()
        return self.process.came()


class Service:
    """The push service of a node that is alone in a process: drive.py."""

    def __init__(self, folder: Path, plan: dict[str, Any], cpu: int | None) -> None:
        file = folder / f"plan-{plan['queues']}.json"
        file.write_text(json.dumps(plan))
        argv = [sys.executable, "-m", "loadtests.push.drive", str(file)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if cpu is not None:
            os.sched_setaffinity(self.process.pid, {cpu})

    def ask(self, **order: object) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    @property
    def cpu(self) -> float:
        return cpu_seconds([self.process.pid])

    def wait(self, what: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not what(self.ask(status=True)):
            if time.monotonic() > deadline:
                raise SystemExit("the pushes do not come to an end")
            time.sleep(0.05)

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()


def dispatch(redis: RedisServer, etcd: EtcdServer, options: argparse.Namespace) -> None:
    """One process queues, another one dispatches, sends and confirms."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        sink = Sink(folder)
        plan = {
            "redis": redis.url, "etcd": etcd.endpoint, "app": APP,
            "providers": {"push": {"ca": sink.ca}, "apns": {APP: sink.app()}},
        }  # fmt: skip
        sends = Service(folder, {**plan, "queues": False}, server_cpu())
        sends.wait(lambda status: status["held_by"] == ["sends"])
        queues = Service(folder, {**plan, "queues": True}, load_cpu())
        try:
            queues.wait(lambda status: status["held_by"] == ["sends"])
            for rate in options.rates:
                measure(sends, queues, rate, options.seconds)
        finally:
            queues.stop()
            sends.stop()
            print(f"           {len(sink.end())} at the provider", flush=True)


def measure(sends: Service, queues: Service, rate: int, seconds: float) -> None:
    """Prints what a push costs at both ends."""
    before = sends.ask(status=True)["sent"] + queues.ask(run=rate, seconds=1.0)["count"]
    sends.wait(lambda status: status["sent"] >= before)  # connections and tokens are made
    sent, queued, start = sends.cpu, queues.cpu, time.monotonic()
    count = queues.ask(run=rate, seconds=seconds)["count"]
    sends.wait(lambda status: status["sent"] >= before + count)
    took = time.monotonic() - start
    sent, queued = sends.cpu - sent, queues.cpu - queued
    print(
        f"push       {rate:6}/s  {1e6 * sent / count:7.1f} us CPU a push where it is dispatched, sent and "
        f"confirmed, {1e6 * queued / count:.1f} where it is queued; {count} in {took:.1f} s",
        flush=True,
    )


async def sleepers(redis: RedisServer, users: int) -> None:
    """Registered users whose phones are unreachable."""
    locations = LocationService(RedisSettings(url=redis.url))
    await locations.start()
    for user in range(users):
        token = f"{user:064x}"
        binding = Binding(
            key="<urn:1>", uri=f"sip:u{user}@192.0.2.1;transport=tcp", instance="<urn:1>", node="gone",
            epoch="gone", flow="x", reliable=True, prid=f"apns:TEAM123456.{APP}.voip:{token}",
            push={"pn-provider": "apns", "pn-param": f"TEAM123456.{APP}.voip", "pn-prid": token},
        )  # fmt: skip
        await locations.register(
            f"u{user}@test.example", [Change(binding, 3_600_000)], max_contacts=1, call_id="1", cseq=1
        )
    await locations.close()


class Caller(asyncio.DatagramProtocol):
    """Sends INVITEs and acknowledges what refuses them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport  # of uvloop or asyncio
        self.sent: dict[str, float] = {}
        host, port = transport.get_extra_info("sockname")
        self.here = f"{host}:{port}"
        self.pushed = 0

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.pushed += data.startswith(b"SIP/2.0 110")

    def invite(self, user: int) -> None:
        self.sent[f"{user:064x}"] = time.time()
        self.transport.sendto(
            f"INVITE sip:u{user}@test.example SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self.here};branch=z9hG4bKu{user}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:caller@test.example>;tag=1\r\nTo: <sip:u{user}@test.example>\r\n"
            f"Call-ID: bench-{user}\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@{self.here}>\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )


async def call(node: ClarionNode, users: range, rate: float) -> Caller:
    """One INVITE for each user at that rate."""
    loop = asyncio.get_running_loop()
    transport, caller = await loop.create_datagram_endpoint(Caller, remote_addr=node.address("udp"))
    start = time.monotonic()
    for number, user in enumerate(users):
        wait = start + number / rate - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        caller.invite(user)
    await asyncio.sleep(1.0)
    transport.close()
    return caller


def latency(redis: RedisServer, etcd: EtcdServer, options: argparse.Namespace) -> None:
    """INVITE in -> push at the provider, idle (10/s) and at each rate."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        sink = Sink(folder)
        rates = [10, *options.rates]
        counts = [int(rate * min(options.seconds, 10.0)) for rate in rates]
        asyncio.run(sleepers(redis, sum(counts)))
        domain = {"domains": ["test.example"]}
        node = ClarionNode(
            make_certificates(folder / "tls"), name="bench", redis=redis.url, etcd=[etcd.endpoint],
            options={"node": domain, "push": {"ca": sink.ca}, f'apns."{APP}"': sink.app()}, cpu=server_cpu(),
        )  # fmt: skip
        runs = []
        try:
            deadline = time.monotonic() + PATIENCE
            while '"":' in node.get("/status")[1].decode() and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(1.0)
            first = 0
            for rate, count in zip(rates, counts, strict=True):
                before = cpu_seconds([node.pid])
                caller = asyncio.run(call(node, range(first, first + count), rate))
                runs.append((rate, caller, 1e6 * (cpu_seconds([node.pid]) - before) / count))
                first += count
        finally:
            node.close()
            came = dict(reversed(sink.end()))
        for rate, caller, cost in runs:
            late = sorted(came[token] - at for token, at in caller.sent.items() if token in came)
            lost = len(caller.sent) - len(late)
            if not late:
                print(f"wake       {rate:6}/s  no push came", flush=True)
                continue
            p99 = late[min(len(late) - 1, int(len(late) * 0.99))]
            print(
                f"wake       {rate:6}/s  INVITE to push at the provider: p50 {1000 * median(late):.1f} ms, "
                f"p99 {1000 * p99:.1f} ms; {cost:.0f} us CPU a call; {lost} lost, {caller.pushed} told 110",
                flush=True,
            )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtests.push", description=__doc__)
    parser.add_argument(
        "--rates", type=lambda text: [int(word) for word in text.split(",")], default=[500, 1500, 3000]
    )
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        etcd = stack.enter_context(EtcdServer())
        dispatch(redis, etcd, options)
        latency(redis, etcd, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
