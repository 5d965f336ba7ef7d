"""What `clarion explain push` says: for each phone of a user, what would happen, what is missing, what was
done last."""

import textwrap
import time
from collections.abc import Iterator
from typing import Any

from ops.tables import span

WIDTH = 100
EVENTS = {
    "call": "a call",
    "message": "a message",
    "refresh": "renewing its registration",
    "summary": "a message summary",
    "missed": "a missed call",
    "accepted": "a call that was answered elsewhere",
    "declined": "a call that was declined elsewhere",
}
OUTCOMES = {
    "accepted": "accepted; if the phone did not wake, the app or the system on it is the place to look",
    "dead": "the provider says that this push address is dead",
    "refused": "refused by the provider",
    "credentials": "refused because of our credentials",
    "expired": "not sent, because its time was over",
}


def explained_text(aor: str, rows: list[dict[str, Any]], now: float | None = None) -> str:
    """A paragraph for each phone; `now` is seconds since 1970."""
    if not rows:
        where = "" if "@" in aor else f" (a user has a domain: {aor}@example.org)"
        return (
            f"Nobody is registered as {aor}{where}, so nothing can ring or be woken.\n"
            "Who is registered: clarion registrations"
        )
    moment = time.time() if now is None else now
    count = "one phone" if len(rows) == 1 else f"{len(rows)} phones"
    parts = [f"{aor} has {count}. If a call came now:", *(_phone(row, moment) for row in rows)]
    if any(row.get("owed") for row in rows):
        parts.append(f"Which messages wait, and why: clarion messages {aor}")
    return "\n\n".join(parts)


def _phone(row: dict[str, Any], now: float) -> str:
    return "\n".join([_name(row), *(_indented(line) for line in _facts(row, now))])


def _name(row: dict[str, Any]) -> str:
    """The device, and what the operator may know it by."""
    agent = f"  {row['user_agent']}" if row.get("user_agent") else ""
    left = f"  (registered for {span(row['expires_in'])} more)" if "expires_in" in row else ""
    return f"{row['device']}{agent}{left}"


def _facts(row: dict[str, Any], now: float) -> Iterator[str]:
    yield f"now      {_sentence(row['would'])}"
    if row.get("unmet"):
        yield f"missing  {_sentence(row['unmet'])}"
    if row.get("remedy"):
        yield f"do       {_sentence(row['remedy'])}"
    yield f"reach    {_sentence(_reach(row['reachable']))}"
    if noted := row.get("noted"):
        yield f"here     {_ago(noted['at'], now)}: {noted['text']}"
    yield f"last     {_last(row.get('last'), now)}"
    if owed := row.get("owed"):
        yield f"owed     {'1 stored message' if owed == 1 else f'{owed} stored messages'}"


def _reach(reachable: object) -> str:
    if isinstance(reachable, bool):
        return "yes: its connection is open" if reachable else "no: its connection is gone"
    return str(reachable)


def _ago(at: int, now: float) -> str:
    """How long since; `at` is ms since 1970."""
    return f"{span(max(0.0, now - at / 1000))} ago"


def _last(last: dict[str, Any] | None, now: float) -> str:
    """What became of the last push."""
    if not last:
        return "nothing was pushed to this phone in the last 30 days"
    what = EVENTS.get(last["event"], last["event"])
    outcome = OUTCOMES.get(last["outcome"], last["outcome"])
    answer = " ".join(str(word) for word in (last.get("status"), last.get("reason")) if word)
    said = f"; it answered {answer}" if answer else ""
    return f"{_ago(last['at'], now)}, {what} ({last['kind']}) by {last['provider']}: {outcome}{said}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")


def _indented(line: str) -> str:
    return textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent=" " * 11, break_long_words=False)
