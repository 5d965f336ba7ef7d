"""What became of pushes: the last one of each device for operators, and dead tokens taken out of bindings."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from cluster.events import Emit
from cluster.location.cache import RecordCache
from cluster.push.events import PushAddressDead
from cluster.push.providers.provider import Answer
from cluster.push.push import Push
from cluster.redis.link import Word
from cluster.redis.script import Script
from cluster.redis.store import Store

KEPT_S = 30 * 86400
DEVICES = 32
_WOKEN = Script.read(Path(__file__).with_name("woken.lua"))
_FORGET = Script.read(Path(__file__).with_name("forget.lua"))


class LastPush(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last push of one device, and the provider's last word about it."""

    at: int  # ms, the store's clock
    event: str
    kind: str
    provider: str
    app: str
    outcome: str  # accepted, dead, refused, credentials or expired
    call_id: str = ""
    status: int = 0
    reason: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(LastPush).decode


class Outcomes:
    """Writes are made together, once in a turn of the loop, and not waited for."""

    def __init__(
        self, store: Store, prefix: str, cache: RecordCache, now_ms: Callable[[], int], emit: Emit
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._cache = cache
        self._now_ms = now_ms
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._new: dict[str, dict[str, bytes]] = {}

    def note(self, push: Push, answer: Answer) -> None:
        """Remember it as the last push of its device."""
        if not push.aor:
            return
        if not self._new:
            self._loop.call_soon(self._flush)
        last = LastPush(
            self._now_ms(), push.event, push.kind, push.provider, push.app, answer.outcome, push.call_id,
            answer.status, answer.reason,
        )  # fmt: skip
        self._new.setdefault(push.aor, {})[push.device] = _encode(last)

    def forget(self, push: Push, answer: Answer) -> None:
        """The token of this push is dead: cut it out of the bindings, unless they registered since."""
        if not push.aor:
            return
        key = f"{self._prefix}:aor:{{{push.aor}}}".encode()
        channel = f"{self._prefix}:reg:{{{push.aor}}}".encode()
        arguments: tuple[Word, ...] = (channel, push.token, answer.dead_since, push.registered_at)
        told = functools.partial(self._forgotten, push, answer)
        self._store.submit_script(_FORGET, key, arguments, told)

    async def last(self, aor: str) -> dict[str, LastPush]:
        """By device. Raises StoreUnavailable."""
        key = self._key(aor)
        found: dict[str, LastPush] = {}
        for device, value in (await self._store.call(key, "HGETALL", key)).items():
            try:
                found[device.decode()] = _decode(value)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
        return found

    def _flush(self) -> None:
        new, self._new = self._new, {}
        for aor, devices in new.items():
            words: list[Word] = [KEPT_S, DEVICES]
            for device, value in devices.items():
                words += (device, value)
            self._store.submit_script(_WOKEN, self._key(aor), (*words,), _ignore)

    def _forgotten(self, push: Push, answer: Answer, reply: Any) -> None:
        self._cache.drop(push.aor)  # Redis does not tell us of what we have changed ourselves
        removed = isinstance(reply, int) and reply > 0
        self._emit(PushAddressDead(push.aor, push.device, push.provider, answer.reason, removed))

    def _key(self, aor: str) -> bytes:
        return f"{self._prefix}:woken:{{{aor}}}".encode()


def _ignore(_: Any) -> None:
    """It is for explanations only: nothing depends on it."""
