"""What this room has to tell."""

from __future__ import annotations

from cluster.events import Event


class CollectorElected(Event, frozen=True):
    """This node collects from now on."""

    fence: int


class CollectorResigned(Event, frozen=True):
    """This node collects no more."""

    reason: str


class SweepFailed(Event, frozen=True):
    """A walk through all keys could not be finished; it begins anew in a few seconds."""

    reason: str


class BindingExpired(Event, frozen=True):
    """A phone did not renew its registration. `late`: seconds between its end and this event."""

    aor: str
    device: str
    user_agent: str
    registered_at: int  # ms since 1970, the store's clock
    late: float
