"""Answers of the admin socket as text for a terminal."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from ops.notices import ranges


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Left-aligned columns, each as wide as its widest cell."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def status_text(status: dict[str, Any]) -> str:
    """What `clarion status` prints."""
    node, push = status["node"], status.get("push", {})
    state = "draining" if node["draining"] else "serving"
    lines = [
        f"Node {node['name']} ({state}), Clarion {node['version']}, "
        f"pid {node['pid']}, up {span(node['uptime'])}",
        f"Listening: {', '.join(node['listen'])}; for other nodes {node['internal']}",
        f"Stores:    {', '.join(f'{name} {state}' for name, state in status['stores'].items())}",
        f"Dispatch:  {dispatchers(status['leader'])}",
        f"Messages:  {messages(status.get('messages'))}",
        f"Collector: {collector(status.get('collector'))}",
        f"Events:    {status['events']['emitted']}, dropped {status['events']['dropped']}",
        "",
        table(
            ("MEMBER", "INTERNAL", "VERSION", "STATE"),
            [
                (
                    member["name"],
                    member["internal"],
                    member["version"],
                    "draining" if member["draining"] else "alive",
                )
                for member in status["members"]
            ],
        ),
        *lanes(push.get("lanes", [])),
        "",
        table(("COUNT", "VALUE"), flat(_all_counts(status))),
    ]
    return "\n".join(lines)


def _all_counts(status: dict[str, Any]) -> dict[str, Any]:
    stored = status.get("messages") or {}
    push = status.get("push", {}).get("counts", {})
    return {**status["counts"], "push": push, "messages": stored.get("here") or {}}


def dispatchers(partitions: dict[str, str] | None) -> str:
    """Which node sends the pushes of which partitions: `a 0-7, b 8-15`."""
    if partitions is None:
        return "off on this node ([push] enabled)"
    nodes: dict[str, list[int]] = {}
    for partition, name in partitions.items():
        nodes.setdefault(name, []).append(int(partition))
    shown = [f"{name} {ranges(numbers)}" for name, numbers in sorted(nodes.items()) if name]
    if alone := nodes.get(""):
        shown.append(f"nobody {ranges(alone)} (who queues a push sends it)")
    return ", ".join(shown) or "nobody elected (who queues a push sends it); is etcd away?"


def messages(stored: dict[str, Any] | None) -> str:
    """How many stored messages wait, and how many users get theirs from this node now."""
    if stored is None:
        return "not kept by this node ([messages] enabled)"
    here = stored.get("here") or {}
    busy = here.get("drains", 0) - here.get("waiting", 0)
    return f"{stored['pending']} wait; this node delivers to {busy} users, {here.get('waiting', 0)} rest"


def collector(state: dict[str, Any] | None, now: float | None = None) -> str:
    """Which node removes what has expired, and the last sweep of this one; `now` is seconds since 1970."""
    if state is None:
        return "not this node ([storage] collect)"
    leader = state["leader"] or "nobody elected; is etcd away?"
    if trouble := state.get("trouble"):
        leader += f"; its sweep does not come to an end: {trouble}"
    last = state["last"]
    if last is None:
        return leader
    ago = max(0.0, (time.time() if now is None else now) - last["ended_at"])
    return (
        f"{leader}; last sweep of this node {span(ago)} ago, {last['keys']} keys in {last['seconds']:.1f} s, "
        f"{last['bindings']} bindings and {last['messages']} messages had expired"
    )


def lanes(rows: list[dict[str, Any]]) -> list[str]:
    """One line for each app of each push service that was used lately; none if none was."""
    if not rows:
        return []
    head = ("PUSH SERVICE AND APP", "STATE", "WAITING", "UNDER WAY", "SENT", "FAILED")
    names = ("waiting", "under_way", "sent", "failed")
    return [
        "",
        table(
            head,
            [
                (row["name"], "blocked" if row["blocked"] else "open", *(row[name] for name in names))
                for row in rows
            ],
        ),
    ]


def registrations_table(bindings: list[dict[str, Any]]) -> str:
    """What `clarion registrations` prints: one line per device."""
    if not bindings:
        return "Nobody is registered."
    head = ("USER", "CONTACT", "EXPIRES", "NODE", "DEVICE", "USER AGENT")
    names = ("aor", "contact", "expires", "node", "device", "user_agent")
    rows = [[f"{row[name]} s" if name == "expires" else row[name] for name in names] for row in bindings]
    return table(head, rows)


def flat(counts: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    """Nested counts as (dotted name, value)."""
    found: list[tuple[str, object]] = []
    for name, value in counts.items():
        if isinstance(value, dict):
            found += flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found


def span(seconds: float) -> str:
    """A time span for people."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{amount} {unit}" for amount, unit in parts if amount]
    return " ".join(shown[:2]) or "0 s"
