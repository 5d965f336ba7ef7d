"""What `clarion messages` prints: who has stored messages, and what waits for whom."""

from collections.abc import Iterator
from typing import Any

from cluster.messages.pending import ANYBODY
from ops.tables import span, table

MOST = 1000  # users, or messages of one user, that a node shows at once
ID = 12  # characters of an identity that are shown
TRIED = {
    408: "408, did not answer",
    430: "430, its connection was gone",
    503: "503, could not be reached",
}


def users_text(rows: list[dict[str, Any]]) -> str:
    """One line per user."""
    if not rows:
        return "No messages wait."
    head = ("USER", "MESSAGES", "FIRST WAITS")
    shown = table(head, [(row["aor"], row["count"], _span(row["age"])) for row in rows])
    return shown + _more(len(rows), "users")


def waiting_text(aor: str, rows: list[dict[str, Any]]) -> str:
    """One line per message and device that is owed it, in the order of delivery."""
    if not rows:
        return nothing(aor)
    head = ("ID", "WAITS", "EXPIRES IN", "PRIORITY", "SENDER", "OWED TO", "LAST TRY")
    return table(head, (line for row in rows for line in _lines(row))) + _more(len(rows), "messages")


def nothing(aor: str) -> str:
    """Said where nothing waits; a user without a domain is told so."""
    return f"No messages wait for {aor}." + ("" if "@" in aor else f" A user has a domain: {aor}@example.org")


def retried_text(aor: str, answer: dict[str, Any]) -> str:
    """What became of the order to try again."""
    lines = [f"Trying {device} now." for device in answer["tried"]]
    lines += [
        f"{device} cannot be reached now; it gets its messages when it registers."
        for device in answer["away"]
    ]
    if lines:
        return "\n".join([*lines, f"What is left: clarion messages {aor}"])
    if answer["stored"]:
        return f"No device that is owed a message of {aor} is registered. Who is: clarion registrations {aor}"
    return nothing(aor)


def _lines(row: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    first: tuple[object, ...] = (
        row["id"][:ID],
        span(row["age"]),
        span(row["expires_in"]),
        row["priority"],
        row["sender"],
    )
    for owed in row["owed"] or [{"device": "", "tried": None}]:
        yield (*first, _device(owed["device"]), _tried(owed["tried"]))
        first = ("",) * len(first)


def _device(device: str) -> str:
    return "who registers first" if device == ANYBODY else device


def _tried(status: int | None) -> str:
    return "-" if status is None else TRIED.get(status, str(status))


def _span(seconds: int | None) -> str:
    return "-" if seconds is None else span(seconds)


def _more(count: int, what: str) -> str:
    return f"\nOnly the first {MOST} {what} are shown." if count >= MOST else ""
