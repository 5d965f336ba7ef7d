"""A suspended app is woken before its registration ends, so that it registers again (RFC 8599 5.5).

The pushes are scheduled in Redis when a binding is registered, and each further REGISTER of the device
replaces them: what is sent is only ever what was missed. An app that renews by itself (+sip.pnsreg) does so
earlier.
"""

from __future__ import annotations

import uuid

from cluster.location.binding import Binding
from cluster.push.push import Kind, Push
from node.settings import WakingSettings
from node.waking.address import push_address
from node.waking.pushes import Pushes


def due_times(registered_ms: int, ttl_ms: int, settings: WakingSettings) -> list[int]:
    """When to wake a binding of that lifetime: first `wakeup_before` seconds ahead of its end, half of its
    life at most, then again in equal parts of what is left."""
    ahead = min(int(1000 * settings.wakeup_before), ttl_ms // 2)
    part = ahead // (settings.wakeup_repeat + 1)
    first = registered_ms + ttl_ms - ahead
    return [first + number * part for number in range(settings.wakeup_repeat + 1)]


class Refresh:
    """Schedules these pushes."""

    def __init__(self, pushes: Pushes, settings: WakingSettings) -> None:
        self._pushes = pushes
        self._settings = settings

    def registered(self, aor: str, binding: Binding, ttl_ms: int) -> None:
        """A binding was made, refreshed, or (`ttl_ms` 0) taken back."""
        if not binding.prid or not ("pn-prid" in binding.push or self._settings.refresh_all):
            return
        address = push_address(binding)
        if address is None or self._pushes.catalogue.supports(address.provider, address.app):
            return
        kind, token = address.token("refresh")
        if not kind:
            return
        now = self._pushes.now_ms()
        if not ttl_ms:
            for number in range(self._settings.wakeup_repeat + 1):
                self._pushes.unschedule(member(aor, binding, number), token)
            return
        sent: Kind = kind  # type: ignore[assignment]
        for number, due in enumerate(due_times(now, ttl_ms, self._settings)):
            push = Push(
                id=str(uuid.uuid4()), provider=address.provider, app=address.app, token=token, kind=sent,
                event="refresh", created_at=due, expires_at=now + ttl_ms, aor=aor, device=binding.key,
                registered_at=now, to_uri=f"sip:{aor}", parameters=binding.push,
            )  # fmt: skip
            self._pushes.schedule(member(aor, binding, number), push, due)


def member(aor: str, binding: Binding, number: int) -> str:
    """The name of one of a binding's scheduled pushes."""
    return f"{aor} {binding.key} {number}"
