"""Prints what was measured: medians, as a ratio to Kamailio where it ran in the same round."""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import median

from loadtests.compare.load import Cost

Key = tuple[str, str, int]
HEAD = (
    f"{'work':9}{'transport':11}{'per s':>6}  {'clarion us':>11}{'redis us':>10}"
    f"{'kamailio us':>13}{'ratio':>7}{'sipp us':>14}{'neighbours':>12}"
)


def table(costs: Iterable[Cost]) -> str:
    """One line per work, transport and rate; runs with a flaw are left out and counted."""
    rows: dict[Key, dict[str, list[Cost]]] = defaultdict(lambda: defaultdict(list))
    for cost in costs:
        rows[cost.work, cost.transport, cost.rate][cost.target].append(cost)
    return "\n".join([HEAD, *(_line(key, by_target) for key, by_target in rows.items())])


def _line(key: Key, by_target: dict[str, list[Cost]]) -> str:
    work, transport, rate = key
    valid = {name: [c for c in costs if not c.flaw] for name, costs in by_target.items()}
    ours, theirs = valid.get("clarion", []), valid.get("kamailio", [])

    def middle(costs: list[Cost], what: str) -> float | None:
        return median(getattr(c, what) for c in costs) if costs else None

    a, b = middle(ours, "server"), middle(theirs, "server")
    gauge = " / ".join(_number(middle(costs, "sipp")) for costs in (ours, theirs) if costs)
    line = (
        f"{work:9}{transport:11}{rate:6}  {_number(a):>11}{_number(middle(ours, 'store')):>10}"
        f"{_number(b):>13}{_ratio(a, b):>7}{gauge:>14}{_number(middle(ours + theirs, 'neighbours')):>10} %"
    )
    flawed = sum(len(costs) for costs in by_target.values()) - len(ours) - len(theirs)
    return line + (f"  {flawed} run(s) not valid" if flawed else "")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _ratio(a: float | None, b: float | None) -> str:
    return f"{a / b:.2f}" if a and b else "-"


def save(costs: Iterable[Cost], path: Path) -> None:
    """Appends every run as one line of JSON."""
    with path.open("a") as out:
        out.writelines(json.dumps(asdict(cost)) + "\n" for cost in costs)
