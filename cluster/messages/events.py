"""What this room, and who delivers for it, has to tell."""

from __future__ import annotations

from cluster.events import Event


class MessageStored(Event, frozen=True):
    """A message waits for devices of its recipient."""

    id: str
    aor: str
    sender: str
    call_id: str
    devices: tuple[str, ...]
    bytes: int


class MessageDelivered(Event, frozen=True):
    """A device took a stored message."""

    id: str
    aor: str
    device: str
    call_id: str
    waited: float  # seconds since it was stored


class MessageRefused(Event, frozen=True):
    """A device refused a stored message for good; it will not get it again."""

    id: str
    aor: str
    device: str
    call_id: str
    status: int


class MessageExpired(Event, frozen=True):
    """A stored message left the queue before these devices had it."""

    id: str
    aor: str
    sender: str
    call_id: str
    devices: tuple[str, ...]
    waited: float


class MessageNotKept(Event, frozen=True):
    """A message could not be stored for these devices: `reason` names the option or the fault."""

    aor: str
    sender: str
    call_id: str
    devices: tuple[str, ...]
    reason: str


class FsyncUnavailable(Event, frozen=True):
    """`[messages] fsync` is set, but this server cannot confirm it: no message is accepted there. `reason`
    says what is needed, and what the server answered."""

    address: str
    reason: str
