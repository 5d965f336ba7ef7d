"""The counts of a running node, as the admin socket shows them."""

from collections.abc import Sequence
from typing import Any

from cluster.location.service import LocationService
from cluster.membership import Members
from cluster.push.service import PushService
from node.proxy import Proxy
from node.transport.transports import Transports
from ops.child import Child


def counts(
    proxy: Proxy, transports: Transports, locations: LocationService, children: Sequence[Child]
) -> dict[str, Any]:
    """Plain numbers by name, some of them grouped."""
    servers, clients = proxy.table.counts
    return {
        "requests": {method: count for method, count in proxy.requests.items() if count},
        "calls": {str(status): number for status, number in sorted(proxy.calls.items())},
        "unreadable": {str(status): number for status, number in sorted(proxy.refused.items())},
        "errors": proxy.errors,
        "transactions": {"server": servers, "client": clients},
        "transport": transports.counts(),
        "cache": {
            "records": len(locations.cache),
            "hits": locations.cache.hits,
            "misses": locations.cache.misses,
        },
        "restarts": {child.name: child.restarts for child in children},
    }


def members_shown(members: Members) -> list[dict[str, Any]]:
    """The nodes that this one sees, by name."""
    return [
        {
            "name": member.name,
            "epoch": member.epoch,
            "internal": member.internal,
            "version": member.version,
            "started_at": member.started_at,
            "draining": member.draining,
        }
        for _, member in sorted(members.snapshot.items())
    ]


def push_shown(push: PushService | None) -> dict[str, Any]:
    """The dispatchers by partition, lanes and counts of push dispatch; empty if it is off."""
    return push.status() if push is not None else {}
