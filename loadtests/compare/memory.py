"""Bytes that a node needs for one live binding in its cache, and for one MESSAGE under way.

Transactions linger for 32 s (timer J), so a burst of MESSAGEs shows what one costs. A second burst of the
same size needs no new memory for transactions; what the process grows by then is what it keeps for users
that it had not seen before.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from loadtests.compare.cpu import load_cpu, memory_bytes
from loadtests.compare.targets import Target
from tests.sipp.sipp import Sipp, write_users

LINGER = 34.0
RATE = 1000


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the node: empty, per forwarded MESSAGE (server and client transaction), per cached binding."""

    empty: int
    per_transaction: float
    per_binding: float


def measure(target: Target, folder: Path, count: int) -> Memory:
    """Takes about two minutes, mostly of waiting for transactions to end."""
    folder = folder / "memory"
    folder.mkdir()
    one, many = folder / "one.csv", folder / "many.csv"
    write_users(one, 1, "m")
    write_users(many, count, "n")
    callee = Sipp(folder, "receive", cpu=load_cpu())

    def play(scenario: str, users: Path, units: int) -> None:
        sipp = Sipp(
            folder,
            scenario,
            server=target.address(),
            users=users,
            count=units,
            rate=RATE,
            keys={"contact": callee.contact},
            cpu=load_cpu(),
        )
        figures = sipp.finish()
        sipp.stop()
        if figures.ok != units:
            raise AssertionError(sipp.evidence(f"{scenario}: {figures}"))

    try:
        play("register", one, 1)
        play("message", one, 50)
        empty = memory_bytes(target.pid)
        play("message", one, count)
        per_transaction = (memory_bytes(target.pid) - empty) / count
        time.sleep(LINGER)
        before = memory_bytes(target.pid)
        play("register", many, count)
        time.sleep(LINGER)
        play("message", many, count)
        time.sleep(LINGER)
        per_binding = (memory_bytes(target.pid) - before) / count
    finally:
        callee.stop()
    return Memory(empty, per_transaction, per_binding)
