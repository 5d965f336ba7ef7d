"""CPU per relayed packet, added latency and loss, beside the minimal C forwarder."""

import argparse
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.compare.cpu import cpu_seconds, load_cpu, machine_seconds, server_cpu

HERE = Path(__file__).parent
CALLS_PER_PACKET_RATE = 100  # packets per second of a call, both ways


def build(name: str, folder: Path) -> Path:
    """Compile one of the C programs beside this file."""
    program = folder / name
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O2", "-Wall", "-o", program, HERE / f"{name}.c"], check=True)
    return program


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def running(argv: list[str | Path]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A relay on its CPU, and the first line that it prints."""
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if (cpu := server_cpu()) is not None:
            os.sched_setaffinity(process.pid, {cpu})
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{argv[0]} did not start")
        for task in Path(f"/proc/{process.pid}/task").iterdir():  # threads that were there before
            if cpu is not None:
                os.sched_setaffinity(int(task.name), {cpu})
        yield process, line
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def measure(load: Path, table: Path, ports: list[int], pid: int, seconds: float) -> dict[str, Any]:
    """Send for some seconds; what came, and the CPU of the relay per packet."""
    argv = [load, table, "2", str(seconds), *map(str, ports)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as sender:
        if (cpu := load_cpu()) is not None:
            os.sched_setaffinity(sender.pid, {cpu})
        assert sender.stdout is not None
        marks, others = [], []
        for line in sender.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
            else:
                marks.append(cpu_seconds([pid]))
                others.append(machine_seconds() - cpu_seconds([pid]) - cpu_seconds([sender.pid]))
    found["cpu_us"] = (marks[1] - marks[0]) * 1e6 / max(found["came"], 1)
    found["loss"] = 1 - found["came"] / max(found["sent"], 1)
    found["others"] = (others[1] - others[0]) / seconds
    return found


def one_round(
    programs: dict[str, Path], folder: Path, calls: int, seconds: float
) -> dict[str, dict[str, Any]]:
    """The C forwarder and our relay, one after the other."""
    table, ports = folder / "table", [free_port(), free_port()]
    lines = [f"{20000 + 2 * n} {20001 + 2 * n}\n" for n in range(calls)]
    table.write_text("".join(lines))
    found = {}
    with running([programs["forward"], table, *map(str, ports)]) as (process, _):
        found["C forwarder"] = measure(programs["load"], table, ports, process.pid, seconds)
        process.kill()
    drive: list[str | Path] = [sys.executable, "-m", "loadtests.relay.drive", table, str(calls)]
    with running([*drive, *map(str, ports)]) as (process, line):
        found["relay"] = measure(programs["load"], table, ports, process.pid, seconds) | json.loads(line)
    return found


def report(rate: int, rounds: list[dict[str, dict[str, Any]]]) -> None:
    floor = median(one["C forwarder"]["cpu_us"] for one in rounds)
    for name in ("C forwarder", "relay"):
        rows = [one[name] for one in rounds]
        cost = median(row["cpu_us"] for row in rows)
        print(
            f"{rate:>8} packets/s  {name:<12} {cost:6.2f} us a packet"
            f"  ratio {cost / floor:5.2f}"
            f"  p99 {median(row['p99_us'] for row in rows):>7.0f} us"
            f"  loss {100 * max(row['loss'] for row in rows):6.3f} %"
            f"  wrong {sum(row['wrong'] for row in rows)}"
            f"  (others used {100 * max(row['others'] for row in rows):.0f} % of a CPU)"
        )
    ours = [one["relay"] for one in rounds]
    print(
        f"{'':>18}  a session costs {median(row['set_up_us'] for row in ours):.0f} us to open and close, "
        f"{median(row['memory_kb'] for row in ours):.1f} KB" + (" (plain Python)" if ours[0]["slow"] else "")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", default="10000,40000", help="packets per second, by commas")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if shutil.which(os.environ.get("CC", "cc")) is None:
        raise SystemExit("no C compiler: the load generator cannot be built")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = {program: build(program, folder) for program in ("load", "forward")}
        for rate in (int(one) for one in given.rates.split(",")):
            calls = max(1, rate // CALLS_PER_PACKET_RATE)
            rounds = [one_round(programs, folder, calls, given.seconds) for _ in range(given.rounds)]
            report(rate, rounds)


if __name__ == "__main__":
    main()
