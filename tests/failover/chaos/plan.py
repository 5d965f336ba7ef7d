"""How big the chaos is, how long its parts last, and which settings the nodes get for it. Seconds."""

from __future__ import annotations

import msgspec

FAULTS = (
    "kill",
    "stop",
    "cut-redis",
    "cut-etcd",
    "cut-both",
    "redis-restart",
    "redis-failover",
    "kill-collector",
)
ACCEPT, CLAIM, T1, SWEEP = 2.0, 2.0, 0.1, 3.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run. The same seed gives the same phones, senders and faults; not the same interleaving."""

    messages: int = 300
    recipients: int = 20
    seed: int = 1
    faults: tuple[str, ...] = FAULTS  # each at least once, in an order drawn from the seed
    rounds: int = 1  # how often the whole set of faults comes
    senders: int = 3  # of each recipient
    fault_seconds: float = 3.5  # how long a stop or a cut lasts: longer than a claim and than a lease
    calm_seconds: float = 0.8  # between two faults
    quiet_seconds: float = 10.0  # how long messages are sent where there are no faults
    settle_seconds: float = 40.0  # to get everything delivered when all is well again
    restless: bool = True  # phones come and go; else they stay where they are
    faithful: bool = False  # phones always answer 200 at once
    strict: bool = False  # see `ledger.judge`
    expiring: float = 0.04  # share of the messages with a short Expires


def node_options(accept: float = ACCEPT) -> dict[str, dict[str, object]]:
    """Sections of each node's file: everything that takes its time is made short."""
    return {
        "node": {"drain_timeout": 1},
        "etcd": {"lease_ttl": 2, "timeout": 1.0},
        "redis": {"replicas": 1, "timeout": 1.0},
        "registrar": {"min_expires": 1},
        "routing": {"t1": T1},
        "messages": {
            "replicas": 1,
            "claim": CLAIM,
            "retry": 1.0,
            "accept_timeout": accept,
        },
        "storage": {"sweep": SWEEP, "lease_ttl": 2},
    }
