"""What this floor has to tell by itself: what an operator did."""

from cluster.events import Event


class MessagesDropped(Event, frozen=True):
    """An operator took messages out of a queue; `id` is empty for all of it."""

    aor: str
    id: str
    count: int
