"""The collector of a node as its settings want it, and how long the others keep for it what it has to see."""

import asyncio
from typing import Protocol

from cluster.collect.collector import Collector
from cluster.events import Emit
from cluster.location.service import LocationService
from cluster.membership import Members
from cluster.messages.service import Messages
from node.messages.drains import Drains
from ops.settings import Settings

SLACK = 60.0  # s beside two sweeps in which a collector must have seen that a binding expired


class Delivery(Protocol):
    """Who hands messages out: the proxy. It has drains once it serves, if messages are kept."""

    @property
    def drains(self) -> Drains | None: ...


def collecting(
    settings: Settings,
    locations: LocationService,
    members: Members,
    messages: Messages | None,
    delivery: Delivery,
    emit: Emit,
    name: str,
) -> Collector | None:
    """Who removes what has expired, if this node may. What it finds waiting is delivered from here."""
    if not settings.storage.collect:
        return None
    loop = asyncio.get_running_loop()

    def waiting(aor: str) -> None:
        if delivery.drains is not None:
            delivery.drains.look(aor, loop.time())

    return Collector(
        settings.storage,
        settings.redis,
        locations,
        members,
        messages,
        emit,
        name,
        keep=remembers_accounts(settings),
        waiting=waiting,
    )


def remembers_accounts(settings: Settings) -> bool:
    """Whether users are known when their last registration has ended."""
    return settings.messages.enabled and settings.messages.accept == "accounts"


def kept(settings: Settings) -> float:
    """Seconds that a user is remembered beyond the last registration: until a collector must have seen that
    it ended, and for as long as messages are accepted for accounts."""
    keep = 2 * settings.storage.sweep + SLACK
    return max(keep, settings.messages.account_memory) if remembers_accounts(settings) else keep
