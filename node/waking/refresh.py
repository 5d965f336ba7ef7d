"""A suspended app is woken before its registration ends, so that it registers again (RFC 8599 5.5).

The pushes are scheduled in Redis when a binding is registered, and each further REGISTER of the device
replaces them: what is sent is only ever what was missed. An app that renews by itself (+sip.pnsreg) does so
earlier.

Pushes belong to a token, not to a device: one phone that registers two flows (RFC 5626), or again under a
new instance, is woken once. Those of a token that nobody has registered any more are taken back.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence

from cluster.location.binding import Binding
from cluster.location.record import Record
from cluster.location.service import Change
from cluster.push.push import Kind, Push
from node.settings import WakingSettings
from node.waking.address import PushAddress, push_address
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

    def changed(self, aor: str, before: Iterable[Binding], changes: Sequence[Change], record: Record) -> None:
        """A REGISTER was accepted: `before` are the bindings that were there, as far as they are known,
        `record` is what is there now. Raises nothing."""
        asked = {change.binding.key for change in changes if change.ttl_ms}
        live: dict[str, Binding] = {}  # by token; the binding that ends last
        renewed: set[str] = set()
        for binding in record.bindings:
            token = self._token(binding)
            if token:
                known = live.setdefault(token, binding)
                if known.expires_at < binding.expires_at:
                    live[token] = binding
                if binding.key in asked:
                    renewed.add(token)
        removed = [change.binding for change in changes if not change.ttl_ms]
        for token in {self._token(binding) for binding in (*before, *removed)}:
            if token and token not in live:
                self._take_back(aor, token)
        for token in renewed:
            self._plan(aor, live[token])

    def _token(self, binding: Binding) -> str:
        """The token that wakes the app of a binding for this; "" if nothing may or can."""
        address = self._address(binding)
        return address.token("refresh")[1] if address is not None else ""

    def _address(self, binding: Binding) -> PushAddress | None:
        if not binding.prid or not ("pn-prid" in binding.push or self._settings.refresh_all):
            return None
        return push_address(binding)

    def _take_back(self, aor: str, token: str) -> None:
        for number in range(self._settings.wakeup_repeat + 1):
            self._pushes.unschedule(member(aor, token, number), token)

    def _plan(self, aor: str, binding: Binding) -> None:
        address = self._address(binding)
        if address is None or self._pushes.catalogue.supports(address.provider, address.app):
            return
        kind, token = address.token("refresh")
        sent: Kind = kind  # type: ignore[assignment]
        collapse = hashlib.sha256(f"refresh {aor}".encode()).hexdigest()[:32]
        ttl = binding.expires_at - binding.registered_at
        for number, due in enumerate(due_times(binding.registered_at, ttl, self._settings)):
            push = Push(
                id=str(uuid.uuid4()), provider=address.provider, app=address.app, token=token, kind=sent,
                event="refresh", created_at=due, expires_at=binding.expires_at, aor=aor, device=binding.key,
                registered_at=binding.registered_at, to_uri=f"sip:{aor}", collapse=collapse,
                parameters=binding.push,
            )  # fmt: skip
            self._pushes.schedule(member(aor, token, number), push, due)


def member(aor: str, token: str, number: int) -> str:
    """The name of one of a token's scheduled pushes."""
    return f"refresh {aor} {hashlib.sha256(token.encode()).hexdigest()[:32]} {number}"
