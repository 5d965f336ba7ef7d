"""What a push costs: CPU time of this process alone, the server is another one.

`python -m tests.network.test_push_engine_cost` prints it at 1, 50 and 100 requests at a time.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from cluster.push.http.engine import Engine
from cluster.push.http.message import Connection, HttpRequest, HttpResponse

ROOT = Path(__file__).parents[2]
BODY = (
    b'{"aps":{"alert":{"loc-key":"IC_MSG"}},"from-uri":"sip:a@example.org","call-id":"' + b"x" * 200 + b'"}'
)
HEADERS = (
    ("apns-topic", "org.example.app.voip"),
    ("apns-push-type", "voip"),
    ("apns-priority", "10"),
    ("apns-expiration", "1700000000"),
    ("authorization", "bearer eyJhbGciOiJFUzI1NiIsImtpZCI6IkFCQzEyM0RFRkcifQ." + "e" * 130),
)
LIMIT = 150.0  # us; about 50 on an idle machine


class Run:
    """So many requests, so many at a time."""

    def __init__(
        self, engine: Engine, url: str, connection: Connection, concurrency: int, total: int
    ) -> None:
        self.engine, self.url, self.connection = engine, url, connection
        self.concurrency, self.left, self.total = concurrency, total, total
        self.statuses: list[int] = []
        self.over = asyncio.Event()

    def begin(self) -> None:
        self.left -= 1
        identity = ("apns-id", f"00000000-0000-0000-0000-{self.left:012x}")
        url = f"{self.url}/3/device/{self.left:064x}"
        self.engine.send(
            HttpRequest("POST", url, (*HEADERS, identity), BODY, connection=self.connection), self.done
        )

    def done(self, response: HttpResponse) -> None:
        self.statuses.append(response.status)
        if self.left:
            self.begin()
        elif len(self.statuses) == self.total:
            self.over.set()

    async def measure(self) -> tuple[float, float]:
        """Requests per second, and us of CPU for each."""
        began, before = time.perf_counter(), time.process_time()
        for _ in range(self.concurrency):
            self.begin()
        async with asyncio.timeout(100):
            await self.over.wait()
        used, wall = time.process_time() - before, time.perf_counter() - began
        return self.total / wall, used / self.total * 1e6


def serve(folder: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.network.h2_server", folder],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip


async def measure(folder: str, rounds: tuple[tuple[int, int], ...]) -> list[tuple[int, float, float]]:
    with serve(folder) as server:
        assert server.stdin is not None and server.stdout is not None
        url = server.stdout.readline().strip()
        connection = Connection(str(Path(folder) / "ca.pem"))
        engine, rows = Engine(), []
        for concurrency, total in rounds:
            run = Run(engine, url, connection, concurrency, total)
            rows.append((concurrency, *await run.measure()))
            assert set(run.statuses) == {200}
        await engine.close()
        server.stdin.close()
        server.wait(10)
    return rows


def test_a_push_costs_little(tmp_path: Path) -> None:
    rows = uvloop.run(measure(str(tmp_path), ((50, 500), (100, 5000))))

    assert rows[-1][2] < LIMIT


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        rounds = ((1, 2000), (50, 20_000), (100, 20_000), (50, 20_000), (100, 20_000))
        for concurrency, rate, cost in uvloop.run(measure(folder, rounds)):
            print(f"{concurrency:4} at a time: {rate:6.0f}/s, {cost:5.1f} us CPU a push")
