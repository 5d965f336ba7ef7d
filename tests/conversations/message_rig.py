"""What the conversations of messages have in common: alice, and bob with devices that are there or not."""

from __future__ import annotations

import pytest

from cluster.messages.settings import MessagesSettings
from node.settings import NodeRoomSettings, NodeSettings, WakingSettings
from tests.conversations.playbook import Playbook
from tests.conversations.test_wake import FCM, asleep

AOR = "bob@example.org"


def make(waking: WakingSettings | None = None, **messages) -> Playbook:
    """alice, and connections of bob's devices, none of which is registered."""
    node = NodeSettings(name="a", domains=("example.org",))
    settings = NodeRoomSettings(
        node=node, waking=waking or WakingSettings(), messages=MessagesSettings(**messages)
    )
    playbook = Playbook(settings, messages=True)
    playbook.phone("alice", "udp", "192.0.2.10", 5060)
    playbook.phone("bob", "tcp", "192.0.2.20", 40000)
    playbook.phone("bobnew", "tcp", "192.0.2.20", 41000)
    playbook.phone("tablet", "tcp", "192.0.2.21", 40000)
    playbook.phone("desk", "udp", "192.0.2.22", 5060)
    return playbook


def online(playbook: Playbook, name: str = "bob", **fields) -> None:
    """A device with an instance on an open connection."""
    urn = f"<urn:{name}>"
    playbook.registered("bob", name, **({"key": urn, "instance": urn} | fields))


@pytest.fixture
async def node() -> Playbook:
    """bob's phone is online."""
    playbook = make()
    online(playbook)
    return playbook


@pytest.fixture
async def sleeping() -> Playbook:
    """bob's phone sleeps and can be woken."""
    playbook = make()
    asleep(playbook, FCM)
    return playbook


def done(playbook: Playbook) -> bool:
    """Nobody waits for an answer any more."""
    return playbook.proxy.forward.open.count == 0 and playbook.proxy.idle
