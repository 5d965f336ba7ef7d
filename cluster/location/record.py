"""What the location service takes and gives: a record, a change, an outcome."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cluster.location.binding import Binding

NEVER = 1 << 62


class Record(msgspec.Struct, frozen=True):
    """All bindings of one address of record that were unexpired when it was made.

    `bindings` are ordered by q, then by the latest registration. A binding whose `expires_at` has passed
    stays until its `message_expires_at`: it takes a MESSAGE, but no call. `until` (ms, store's clock) is
    when the first of them has to leave. `known`: the user has registered before, even if no binding is left.
    `messages` says of each device that the queue of stored messages knows whether it is owed one; it is empty
    when none are stored (see `cluster.messages`).
    """

    aor: str
    bindings: tuple[Binding, ...] = ()
    until: int = NEVER
    known: bool = False
    messages: dict[str, bool] = {}


class Change(msgspec.Struct, frozen=True):
    """One Contact of a REGISTER. `ttl_ms` 0 removes the binding of that key."""

    binding: Binding
    ttl_ms: int
    message_ttl_ms: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What became of a REGISTER. `refused` is "" (done), "cseq" (RFC 3261 10.3, out of order: 500) or
    "contacts" (more contacts in one request than an address may have); refused means nothing was written.
    """

    record: Record
    refused: str = ""
    evicted: tuple[str, ...] = ()  # device keys that had to go because of max_contacts or the same push token


_NONE: dict[str, bool] = {}


def make_record(
    aor: str,
    bindings: Iterable[Binding],
    now_ms: int,
    known: bool = False,
    messages: dict[str, bool] = _NONE,
) -> Record:
    """A record of those bindings that still live at `now_ms`, in the order in which they are tried."""
    living = [binding for binding in bindings if binding.message_expires_at > now_ms]
    if not living:
        return Record(aor, (), NEVER, known, messages)
    if len(living) == 1:
        return Record(aor, (living[0],), living[0].message_expires_at, known, messages)
    living.sort(key=_order)
    until = min(binding.message_expires_at for binding in living)
    return Record(aor, tuple(living), until, known, messages)


def marked(marker: bytes | None) -> dict[str, bool]:
    """What the marker of stored messages says of each device: lines "+device" (owed) and "-device"."""
    if not marker:
        return _NONE
    return {line[1:]: line[0] == "+" for line in marker.decode("utf-8", "replace").split("\n") if line}


def _order(binding: Binding) -> tuple[int, int]:
    return (-binding.q, -binding.registered_at)
