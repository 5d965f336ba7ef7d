"""python -m tests.failover.chaos --messages 5000 --recipients 200"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from tests.failover.chaos.course import Result, run
from tests.failover.chaos.plan import FAULTS, Plan
from tests.failover.chaos.report import report


async def _run(plan: Plan) -> Result:
    """SIGTERM ends all servers too."""
    work = asyncio.ensure_future(run(plan))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    return await work


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--recipients", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=0, help="how often each fault comes; 0: by the size")
    parser.add_argument("--faults", default=",".join(FAULTS), help="some of these, or none")
    parser.add_argument("--quiet", type=float, default=10.0, help="seconds of a run without faults")
    parser.add_argument(
        "--settled", action="store_true", help="phones stay where they are, and always answer"
    )
    parser.add_argument("--strict", action="store_true", help="a late answer explains no second copy")
    parser.add_argument("--logs", type=Path, help="folder for the logs of the nodes")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    kinds = tuple(kind for kind in given.faults.split(",") if kind in FAULTS)
    plan = Plan(
        messages=given.messages,
        recipients=given.recipients,
        seed=given.seed,
        faults=kinds,
        rounds=given.rounds or max(1, given.messages // 800),
        quiet_seconds=given.quiet,
        settle_seconds=40.0 + given.messages / 50,
        restless=not given.settled,
        faithful=given.settled,
        strict=given.strict,
    )
    result = asyncio.run(_run(plan))
    print(report(result))
    if given.logs:
        given.logs.mkdir(parents=True, exist_ok=True)
        for name, text in result.logs.items():
            (given.logs / f"{name}.log").write_text(text)
    return 0 if result.good else 1


if __name__ == "__main__":
    sys.exit(main())
