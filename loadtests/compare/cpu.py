"""CPU time and memory of processes, from /proc. A target is a process with all its children and threads."""

import os
from collections.abc import Iterable
from pathlib import Path

SERVER_CPU = 0
LOAD_CPU = 1


def pinned() -> bool:
    """Whether servers and load can have a CPU each."""
    return {SERVER_CPU, LOAD_CPU} <= os.sched_getaffinity(0)


def server_cpu() -> int | None:
    return SERVER_CPU if pinned() else None


def load_cpu() -> int | None:
    return LOAD_CPU if pinned() else None


def family(pid: int) -> list[int]:
    """The process and all its living descendants."""
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        try:
            for task in Path(f"/proc/{one}/task").iterdir():
                ahead += map(int, (task / "children").read_text().split())
        except OSError:
            continue
        found.append(one)
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Time on CPU (user and system) of all threads of these processes and their children so far."""
    total = 0
    for pid in pids:
        for one in family(pid):
            for task in Path(f"/proc/{one}/task").iterdir():
                try:
                    total += int((task / "schedstat").read_text().split()[0])
                except OSError:
                    continue
    return total / 1e9


def machine_seconds() -> float:
    """Time that all CPUs of the machine were busy since its start, for judging neighbours."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> int:
    """Proportional set size of a process: its own pages, and its share of those it has in common."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no Pss for {pid}")
