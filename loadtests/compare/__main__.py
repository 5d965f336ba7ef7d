"""CPU per REGISTER, call and MESSAGE of a node, next to Kamailio on the same machine in the same minutes."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from loadtests.compare.load import Cost, Load
from loadtests.compare.memory import measure
from loadtests.compare.report import save, table
from loadtests.compare.targets import Clarion, Kamailio, Target, kamailio_program

WORKS = ("register", "call", "message")
TRANSPORTS = ("udp", "tcp")
RATES = (500, 1000, 1500)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="1000 per second only, one short round, no memory"
    )
    parser.add_argument("--only", default="", help="targets, works, transports or rates, with commas between")
    parser.add_argument("--users", type=int, default=10_000, help="users registered (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of all runs (default: 2, quick: 1)")
    parser.add_argument("--seconds", type=float, default=0, help="length of a run (default: 5, quick: 3)")
    parser.add_argument("--no-memory", action="store_true", help="leave memory out")
    parser.add_argument("--json", type=Path, help="append every run to this file")
    return parser.parse_args()


def chosen(options: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Work, transport and rate of each run of a round."""
    wanted = set(filter(None, options.only.split(",")))
    rates = (1000,) if options.quick else RATES
    for group in (WORKS, TRANSPORTS, tuple(map(str, RATES))):
        if not wanted & set(group):
            wanted |= set(group)
    given = [rate for rate in RATES if str(rate) in options.only.split(",")]
    for transport, work, rate in product(TRANSPORTS, WORKS, given or rates):
        if {work, transport} <= wanted:
            yield work, transport, rate


def start(folder: Path, options: argparse.Namespace) -> list[Target]:
    targets: list[Target] = []
    words = options.only.split(",")
    if "clarion" in words or "kamailio" not in words:
        targets.append(Clarion(folder))
    if "kamailio" in words or "clarion" not in words:
        if kamailio_program():
            targets.append(Kamailio(folder))
        else:
            print("kamailio is not installed: no ratios")
    return targets


def compare(targets: list[Target], folder: Path, options: argparse.Namespace) -> list[Cost]:
    """All rounds; within a round the targets take turns at every single run."""
    seconds = options.seconds or (3 if options.quick else 5)
    loads = [Load(target, folder, options.users) for target in targets]
    costs = []
    for number in range(options.rounds or (1 if options.quick else 2)):
        for work, transport, rate in chosen(options):
            for load in loads if number % 2 == 0 else loads[::-1]:
                cost = load.run(work, transport, rate, seconds)
                costs.append(cost)
                note = f"not valid: {cost.flaw}" if cost.flaw else f"{cost.server:.1f} us"
                print(f"  {cost.target} {work} {transport} {rate}/s: {note}", file=sys.stderr, flush=True)
    return costs


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        targets = start(folder, options)
        try:
            costs = compare(targets, folder, options)
            print(table(costs))
            if options.json:
                save(costs, options.json)
            if targets[0].name == "clarion" and not (options.quick or options.no_memory):
                found = measure(targets[0], folder, options.users)
                print(
                    f"memory: {found.per_binding:.0f} bytes per live binding cached, "
                    f"{found.per_transaction:.0f} per MESSAGE under way (two transactions); "
                    f"process {found.empty / 1e6:.0f} MB"
                )
        finally:
            for target in targets:
                target.close()
    return 1 if any(cost.flaw for cost in costs) else 0


if __name__ == "__main__":
    sys.exit(main())
