"""What a run prints: its sums, its faults, and the history of each message that something went wrong with."""

from __future__ import annotations

from tests.failover.chaos.chronicle import Chronicle, Sent
from tests.failover.chaos.course import Result
from tests.failover.chaos.ledger import Violation

HISTORIES = 12


def summary(result: Result) -> str:
    """A screenful: what was accepted, delivered, repeated and why, expired."""
    plan, verdict, notes = result.plan, result.verdict, result.chronicle
    accepted = ", ".join(f"{count} with {status}" for status, count in sorted(verdict.accepted.items()))
    repeated = ", ".join(f"{count}: {excuse}" for excuse, count in verdict.repeated.most_common())
    lines = [
        f"{plan.messages} messages to {plan.recipients} recipients with {len(notes.registered)} devices in "
        f"{len(notes.sessions)} sessions, seed {plan.seed}, {result.seconds:.0f} s",
        f"faults     {', '.join(_faults(result)) or 'none'}",
        f"accepted   {sum(verdict.accepted.values())} ({accepted}), {verdict.given_up} given up",
        f"delivered  {verdict.delivered} of {verdict.owed} copies",
        f"repeated   {sum(verdict.repeated.values())} ({repeated})" if repeated else "repeated   0",
        f"retried    {verdict.retried} copies that a device had refused for now",
        f"expired    {verdict.expired} copies, of messages that said so",
        f"not kept   {verdict.not_kept} copies, of messages that another device took while Redis was away",
        f"unseen     {verdict.unseen} copies, for devices that a node which was cut off did not know yet",
        f"violations {len(verdict.violations)}",
        f"ghosts     {len(result.ghosts)}",
    ]
    return "\n".join(lines)


def _faults(result: Result) -> list[str]:
    return [
        f"{fault.start - result.started:.1f}-{fault.end - result.started:.1f} {fault.kind}"
        f"{f' {fault.node}' if fault.node else ''}"
        for fault in result.chronicle.faults
    ]


def report(result: Result) -> str:
    """The summary; then, where something is wrong, everything that is known of it."""
    parts = [summary(result)]
    parts += [history(result, violation) for violation in result.verdict.violations[:HISTORIES]]
    parts += [f"ghost: {text[:2000]}" for text in result.ghosts[:HISTORIES]]
    return "\n\n".join(parts)


def history(result: Result, violation: Violation) -> str:
    """One violation with the life of its message: who asked which node, what came where, what nodes told."""
    head = f"{violation.kind.upper()}: number {violation.number} {violation.device}: {violation.text}"
    sent = result.chronicle.sent.get(violation.number)
    if sent is None:
        return head
    rows = sorted(_rows(result.chronicle, sent, violation.device))
    told = [f"    {line}" for line in result.chronicle.events.get(sent.call_id, ())]
    lines = [f"  {at - result.started:8.3f} {text}" for at, text in rows]
    return "\n".join(
        [head, f"  {sent.call_id}: number {sent.seq} of {sent.sender} to {sent.recipient}", *lines, *told]
    )


def _rows(notes: Chronicle, sent: Sent, device: str) -> list[tuple[float, str]]:
    rows = []
    for attempt in sent.attempts:
        rows.append((attempt.at, f"{sent.sender} asks {attempt.node}"))
        if attempt.ended:
            rows.append((attempt.ended, f"{attempt.node} answers {attempt.status or 'nothing'}"))
    for name, copies in notes.arrivals.items():
        for copy in copies.get(sent.number, ()):
            way = " > ".join(reversed(copy.nodes))
            rows.append((copy.at, f"{name} gets it by {way}{', drops its answer' if copy.dropped else ''}"))
            if copy.status:
                rows.append((copy.answered, f"{name} answers {copy.status}"))
    start, end = sent.attempts[0].at - 5, max(at for at, _ in rows) + 2
    for session in notes.sessions:
        if session.device == device:
            rows += [
                (at, f"{device} {word} {session.node} by {session.transport}")
                for at, word in ((session.started, "goes to"), (session.ended, "leaves"))
                if start <= at <= end
            ]
    for fault in notes.faults:
        rows += [
            (at, f"{word} of {fault.kind} {fault.node}")
            for at, word in ((fault.start, "begin"), (fault.end, "end"))
            if start <= at <= end
        ]
    return rows
