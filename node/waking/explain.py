"""Why a phone would ring, or not: what `clarion explain push` shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cluster.location.binding import Binding
from cluster.location.service import Record
from node.fork.target import Target, device_of
from node.settings import WakingSettings
from node.waking.decision import Decision, decide
from node.waking.journal import Journal
from node.waking.pushes import LastPushed


def explained(
    record: Record,
    target: Callable[[Binding], Target],
    gone: Callable[[Target], bool],
    supports: Callable[[str, str], str] | None,
    settings: WakingSettings,
    last: Mapping[str, LastPushed],
    journal: Journal | None,
    now_ms: int,
) -> list[dict[str, Any]]:
    """For each binding: what a call would do now, the first unmet condition with its remedy, and the last
    thing that was done. Only strings, numbers, None and dictionaries."""
    rows = []
    for binding in record.bindings:
        reached = target(binding)
        lost = gone(reached)
        decision = decide(binding, lost, "call", supports, settings)
        pushed = last.get(binding.key)
        noted = journal.last(record.aor, device_of(binding)) if journal is not None else None
        rows.append(
            {
                "device": binding.key,
                "contact": binding.uri,
                "user_agent": binding.user_agent,
                "expires_in": max(0, (binding.expires_at - now_ms) // 1000),
                "reachable": _reachable(reached, lost, binding),
                "would": _would(decision, lost),
                "unmet": "" if decision.wake else decision.why,
                "remedy": decision.remedy,
                "last": None if pushed is None else _last(pushed),
                "noted": None if noted is None else {"at": noted[0], "text": noted[1]},
            }
        )
    return rows


def _reachable(target: Target, lost: bool, binding: Binding) -> str:
    if lost:
        return "no: its connection is gone"
    if target.internal:
        return f"yes, as far as this node knows: node {binding.node} holds its flow"
    return (
        "yes: its connection is open"
        if binding.reliable
        else "unknown: UDP tells nothing of a sleeping phone"
    )


def _would(decision: Decision, lost: bool) -> str:
    if not decision.wake:
        if lost:
            return "a call would fail: the phone cannot be reached, and not be woken"
        return "a call would ring it, and not wake it"
    push = f"a {decision.kind} push to {decision.address.provider if decision.address else ''}"
    if not decision.ring:
        return f"a call would wake it at once by {push}, and ring it when it has registered"
    if decision.after:
        return f"a call would ring it, and wake it by {push} after {decision.after:g} s without an answer"
    return f"a call would ring it, and wake it by {push} at the same time"


def _last(pushed: LastPushed) -> dict[str, Any]:
    return {
        name: getattr(pushed, name)
        for name in ("at", "event", "kind", "provider", "outcome", "status", "reason")
    }
