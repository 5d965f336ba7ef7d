"""What a node has to tell: frozen records handed to one narrow `emit(event)`.

`ops` turns them into log lines, metrics and dashboard rows; nothing here knows how.
"""

from __future__ import annotations

import msgspec


class Registered(msgspec.Struct, frozen=True):
    """A phone (re-)registered, or took its registration back."""

    aor: str
    devices: tuple[str, ...]  # keys of the bindings that the REGISTER named
    expires: int  # seconds; 0 when it unregistered
    source: str  # transport:address:port the REGISTER came from
    user_agent: str
    call_id: str


class RegistrationRefused(msgspec.Struct, frozen=True):
    """A REGISTER was answered with an error."""

    aor: str
    status: int
    reason: str
    source: str
    call_id: str


class CallEnded(msgspec.Struct, frozen=True):
    """A call set-up came to its final response."""

    call_id: str
    caller: str
    callee: str
    status: int
    result: str  # success | client | server | upstream
    branches: int


def result_of(status: int) -> str:
    """Whose doing a final status was: the words of dashboards and alerts."""
    if status < 300:
        return "success"
    if status in (408, 480, 486, 487, 600, 603):
        return "client"
    return "server" if status in (500, 503) else "upstream"
