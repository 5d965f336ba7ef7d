"""Bindings as an operator reads them."""

from typing import Any

from cluster.location.record import Record
from ops.device import device_shown

LIMIT = 10_000  # users shown at once


def bindings_shown(record: Record, now_ms: int) -> list[dict[str, Any]]:
    """One row per binding. Push parameters stay inside."""
    return [
        {
            "aor": record.aor,
            "contact": binding.uri,
            "device": device_shown(binding.key),
            "expires": max(0, (binding.expires_at - now_ms) // 1000),
            "q": binding.q / 1000,
            "node": binding.node,
            "epoch": binding.epoch,
            "path": list(binding.path),
            "registered_at": binding.registered_at / 1000,
            "wakes": binding.push.get("pn-provider", ""),
            "user_agent": binding.user_agent,
        }
        for binding in record.bindings
    ]
