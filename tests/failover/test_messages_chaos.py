"""Messages to phones that come and go, while nodes and stores are killed, stopped and cut off: none that was
accepted is lost, none comes twice without a lost acknowledgement, the order is kept, no ghost remains.

Small here; `make chaos` runs it large.
"""

from __future__ import annotations

from tests.failover.chaos.course import run
from tests.failover.chaos.plan import FAULTS, Plan
from tests.failover.chaos.report import report, summary


async def test_no_accepted_message_is_lost_doubled_or_out_of_order() -> None:
    plan = Plan(messages=300, recipients=20, seed=4)
    result = await run(plan)
    print(summary(result))
    assert result.good, report(result)
    assert {fault.kind for fault in result.chronicle.faults} == set(FAULTS)
    assert result.verdict.accepted[202] > 50, summary(result)
    assert result.verdict.given_up < 30, summary(result)
    assert result.verdict.delivered > 250, summary(result)
