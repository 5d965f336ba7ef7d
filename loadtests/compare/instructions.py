"""Instructions that a node executes per REGISTER, MESSAGE and call, counted by callgrind.

    python -m loadtests.compare.instructions            print them
    python -m loadtests.compare.instructions --check    fail where one is 10 % above budget.json
    python -m loadtests.compare.instructions --update   store them as the new budget

Microseconds depend on the neighbours; instructions do not, so a budget can be checked on any machine with
the same Python. The node runs under callgrind with counting off until it is warm. Then two phones of our
own do one thing after the other, in several rounds, and the cheapest round counts: the dearer ones had the
clock's ticks, garbage collection and the heartbeat of the stores in them. Timers that fire seconds later
(the end of a transaction) are not in it.
"""

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from loadtests.compare.targets import Clarion
from tests.phones.sip_client import SipPhone, connected

BUDGET = Path(__file__).with_name("budget.json")
TOLERANCE = 0.10
WARM = 60
UNITS = 50
ROUNDS = 8
PATIENCE = 60.0


class Counter:
    """Callgrind around a running node, remote-controlled by vgdb."""

    def __init__(self, folder: Path) -> None:
        self._out = folder / "callgrind"
        self.prefix = (
            "valgrind",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={self._out}",
        )
        # libuv would use io_uring, which valgrind does not know; sets shall have the same order every time
        # Under valgrind time passes fifty times as fast: what push dispatch and garbage collection do by the
        # clock would count as if every request had its share of it.
        self.environment = {
            "UV_USE_IO_URING": "0",
            "PYTHONHASHSEED": "0",
            "CLARION_PUSH_ENABLED": "false",
            "CLARION_STORAGE_COLLECT": "false",
        }
        self._dumps = 0

    async def tell(self, pid: int, *words: str) -> None:
        process = await asyncio.create_subprocess_exec(
            "vgdb",
            f"--pid={pid}",
            *words,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        if process.returncode:
            raise AssertionError(f"vgdb {words}: {said.decode(errors='replace')}")

    async def start(self, pid: int) -> None:
        await self.tell(pid, "instrumentation", "on")

    async def count(self, pid: int, work: Callable[[], Awaitable[None]]) -> int:
        """Instructions that the node executes while `work` is done."""
        await self.tell(pid, "zero")
        await work()
        await self.tell(pid, "dump")
        self._dumps += 1
        text = Path(f"{self._out}.{self._dumps}").read_text(errors="replace")
        found = re.findall(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
        return int(found[-1])


def times(unit: Callable[[], Awaitable[None]], count: int) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        for _ in range(count):
            await unit()

    return work


async def measure(folder: Path) -> dict[str, int]:
    """Instructions per unit, by name of the unit."""
    counter = Counter(folder)
    target = await asyncio.to_thread(Clarion, folder, counter.environment, counter.prefix)
    counts: dict[str, int] = {}
    try:
        for transport in ("udp", "tcp"):
            server = target.node.address(transport)
            alice, bob = (SipPhone(f"{user}-{transport}", transport, server) for user in ("alice", "bob"))
            async with alice, bob:
                await asyncio.gather(alice.register(seconds=PATIENCE), bob.register(seconds=PATIENCE))
                await counter.start(target.pid)
                for name, unit in units(alice, bob).items():
                    await times(unit, WARM)()
                    rounds = [await counter.count(target.pid, times(unit, UNITS)) for _ in range(ROUNDS)]
                    counts[f"{name} {transport}"] = round(min(rounds) / UNITS)
    finally:
        await asyncio.to_thread(target.close)
    return counts


def units(alice: SipPhone, bob: SipPhone) -> dict[str, Callable[[], Awaitable[None]]]:
    """What is counted; each unit ends when its last answer has come."""

    def forget() -> None:
        for phone in (alice, bob):
            phone.forget()

    async def register() -> None:
        await alice.register(seconds=PATIENCE)
        forget()

    async def message() -> None:
        request = alice.send_request("MESSAGE", bob.uri, body=b"the train is late again")
        bob.respond(await bob.expect_request("MESSAGE", PATIENCE), 200, "OK")
        await alice.expect_response(request, PATIENCE)
        forget()

    async def call() -> None:
        calling, called = await connected(alice, bob, PATIENCE)
        await asyncio.gather(calling.bye(seconds=PATIENCE), called.expect_bye(PATIENCE))
        forget()

    return {"register": register, "message": message, "call": call}


def environment() -> str:
    """What the counts depend on besides the code."""
    from node.sip.codec import COMPILED

    version = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
    return f"{version} {platform.machine()} {'compiled' if COMPILED else 'pure'}"


def check(counts: dict[str, int]) -> list[str]:
    """What is over budget, in words."""
    budget = json.loads(BUDGET.read_text())
    if budget["environment"] != environment():
        print(f"the budget is for {budget['environment']}, this is {environment()}: not compared")
        return []
    return [
        f"{name}: {counts[name]} instructions, budget {limit} (+{100 * (counts[name] / limit - 1):.0f} %)"
        for name, limit in budget["instructions"].items()
        if counts[name] > limit * (1 + TOLERANCE)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="instructions", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail where a count is 10 %% above the budget")
    parser.add_argument("--update", action="store_true", help="store the counts as the budget")
    options = parser.parse_args()
    if not (shutil.which("valgrind") and shutil.which("vgdb")):
        print("valgrind is not installed (package valgrind): instructions are not counted")
        return 1 if os.environ.get("CI") == "true" else 0
    with tempfile.TemporaryDirectory(prefix="instructions-") as folder:
        counts = asyncio.run(measure(Path(folder)))
    for name, count in counts.items():
        print(f"{name:14}{count:>10} instructions")
    if options.update:
        BUDGET.write_text(json.dumps({"environment": environment(), "instructions": counts}, indent=2) + "\n")
    over = check(counts) if options.check else []
    for line in over:
        print(f"over budget: {line}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
