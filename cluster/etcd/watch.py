"""All keys under a prefix, and every change of them, without a gap.

A stream that ends is opened again at the next revision (at whichever endpoint is current then), so nothing
is missed and nothing seen twice. Where etcd has compacted that revision away, or was set back to an older
state, the keys are listed anew and the batch says so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import orjson

from cluster.errors import CoordinatorRefused, CoordinatorUnavailable
from cluster.etcd.gateway import FIRST_PAUSE, LAST_PAUSE, UNAUTHENTICATED, Gateway, refusal
from cluster.etcd.wire import Json, KeyValue, key_value, prefix_end, revision, text

_LONGEST_LINE = 16 << 20


class Batch(msgspec.Struct, frozen=True):
    """Changes of one moment. With `whole`, `puts` are all keys there are; others have gone."""

    revision: int
    whole: bool = False
    puts: tuple[KeyValue, ...] = ()
    deletes: tuple[str, ...] = ()


class _ListAnew(Exception):
    """The stream cannot be resumed."""


async def follow(gateway: Gateway, prefix: str) -> AsyncIterator[Batch]:
    """Batches for ever: a whole one first. Survives whatever etcd does; cancel the task to end it."""
    after = 0
    pause = FIRST_PAUSE
    while True:
        try:
            if not after:
                keys, after = await gateway.range(prefix)
                yield Batch(after, True, keys)
            async for answer in _stream(gateway, prefix, after + 1):
                pause = FIRST_PAUSE
                batch = _batch(answer, after)
                if batch is not None:
                    after = batch.revision
                    yield batch
        except _ListAnew:
            after = 0
        except CoordinatorRefused as error:
            if error.code == UNAUTHENTICATED:
                gateway.forget_token()
        except (CoordinatorUnavailable, aiohttp.ClientError, OSError, TimeoutError, ValueError):
            pass  # the gateway has told whom it concerns
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, LAST_PAUSE)


async def _stream(gateway: Gateway, prefix: str, start: int) -> AsyncIterator[Json]:
    create = {"key": text(prefix), "range_end": prefix_end(prefix), "start_revision": str(start)}
    endpoint = gateway.endpoint
    try:
        stream = await gateway.open_stream("/v3/watch", {"create_request": create})
    except (aiohttp.ClientError, OSError, TimeoutError):
        gateway.rotate(endpoint)
        raise
    try:
        rest = b""
        async for chunk in stream.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                raise ValueError("etcd sent a line without end")
            for line in lines:
                if line:
                    yield orjson.loads(line)
    finally:
        gateway.forget_stream(stream)


def _batch(answer: Json, after: int) -> Batch | None:
    """What one line says; None for "created" and progress. Raises _ListAnew, CoordinatorRefused."""
    if "result" not in answer or "error" in answer:
        raise refusal(answer)
    result = answer["result"]
    if result.get("canceled"):
        raise _ListAnew
    at = revision(result)
    if result.get("created"):
        if at < after:
            raise _ListAnew  # etcd knows less than it told before: restored from a backup
        return None
    events = result.get("events", ())
    if not events:
        return None
    puts: dict[str, KeyValue] = {}
    deletes: dict[str, None] = {}
    for event in events:
        kv = key_value(event["kv"])
        if event.get("type") == "DELETE":
            puts.pop(kv.key, None)
            deletes[kv.key] = None
        else:
            deletes.pop(kv.key, None)
            puts[kv.key] = kv
    return Batch(at, False, tuple(puts.values()), tuple(deletes))
