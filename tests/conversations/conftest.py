"""A fresh node in memory for every conversation."""

from __future__ import annotations

import pytest

from tests.conversations.playbook import Playbook


@pytest.fixture
async def node() -> Playbook:
    """alice (caller) and bob (registered by UDP at 192.0.2.20)."""
    playbook = Playbook()
    playbook.phone("alice", "udp", "192.0.2.10", 5060)
    playbook.phone("bob", "udp", "192.0.2.20", 5060)
    playbook.registered("bob", "bob")
    return playbook


@pytest.fixture
async def two(node: Playbook) -> Playbook:
    """bob has a second phone, bob2, on a TCP connection."""
    node.phone("bob2", "tcp", "192.0.2.21", 40000)
    node.registered("bob", "bob2")
    return node
