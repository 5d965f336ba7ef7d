"""What push dispatch has to tell upwards."""

from __future__ import annotations

from cluster.events import Event


class PushSent(Event, frozen=True):
    """A provider accepted a push."""

    id: str
    lane: str
    event: str  # call, message, ...
    kind: str
    aor: str
    device: str
    call_id: str
    attempts: int
    waited: float  # seconds from its creation to the provider's answer


class PushFailed(Event, frozen=True):
    """A push was given up; `outcome` is dead, refused, credentials or expired."""

    id: str
    lane: str
    event: str
    aor: str
    device: str
    call_id: str
    outcome: str
    status: int
    reason: str


class PushAddressDead(Event, frozen=True):
    """A provider said that a token is dead; it was taken out of the binding, unless registered since."""

    aor: str
    device: str
    provider: str
    reason: str
    removed: bool


class CredentialsRefused(Event, frozen=True):
    """A provider refuses our credentials for an app: nothing of it is sent until they are mended."""

    lane: str
    reason: str


class CredentialsExpire(Event, frozen=True):
    """A certificate or key ends soon, or cannot be read."""

    option: str
    text: str


class LaneBlocked(Event, frozen=True):
    """A provider does not answer: its pushes wait, and one at a time is tried."""

    lane: str
    reason: str
    waiting: int


class LaneFree(Event, frozen=True):
    """The provider answers again."""

    lane: str


class DispatcherElected(Event, frozen=True):
    """This node dispatches the pushes of these partitions from now on."""

    partitions: tuple[int, ...]


class DispatcherResigned(Event, frozen=True):
    """This node stopped dispatching these partitions; `reason` says why."""

    partitions: tuple[int, ...]
    reason: str
