"""Asking sentinels and cluster nodes which server is the master of what; cold, through redis-py.

redis-py retries with growing pauses by default: with one dead sentinel a discovery took 87 s. Every client
here therefore has retries switched off (for the sentinels' own connections too, which the plain `retry=`
does not reach) and short socket timeouts; trying the next one is our loop's work.
"""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from cluster.errors import StoreUnavailable
from cluster.redis.address import StoreAddress
from cluster.settings import RedisSettings

_ASK_TIMEOUT = 0.3


class Shard(msgspec.Struct, frozen=True):
    """A master of a Redis Cluster and the slot ranges (first, last) that it serves."""

    host: str
    port: int
    ranges: tuple[tuple[int, int], ...]


async def find_master(address: StoreAddress, settings: RedisSettings) -> tuple[str, int]:
    """The master as the sentinels name it. Raises StoreUnavailable where none knows."""
    options = _options(settings, address, settings.sentinel_username, settings.sentinel_password)
    # The sentinels of redis-py are made from these options, the plain `retry=` would not reach them.
    sentinel = Sentinel(address.hosts, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    try:
        host, port = await sentinel.discover_master(address.master)
    except (MasterNotFoundError, RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"no sentinel names a master {address.master!r}: {error}") from error
    finally:
        for client in sentinel.sentinels:
            await client.aclose()
    return host, int(port)


async def find_shards(
    hosts: list[tuple[str, int]], address: StoreAddress, settings: RedisSettings
) -> tuple[Shard, ...]:
    """The slot map as the first of `hosts` that answers tells it. Raises StoreUnavailable."""
    reason: object = "no host is known"
    username = settings.username or address.username
    options = _options(settings, address, username, settings.password or address.password)
    for host, port in hosts:
        client = Redis(host=host, port=port, **options)
        try:
            reply = await client.execute_command("CLUSTER SLOTS")  # type: ignore[no-untyped-call]
            shards = _shards(reply, host)
        except (RedisError, OSError, TimeoutError) as error:
            reason = error
            continue
        finally:
            await client.aclose()
        if shards:
            return shards
        reason = f"{host}:{port} serves no slots"
    raise StoreUnavailable(f"no node of the Redis Cluster tells its slots: {reason}")


def _shards(reply: Any, asked: str) -> tuple[Shard, ...]:
    """CLUSTER SLOTS: rows of first, last, [host, port, ...], ...; or the dict that redis-py makes of them."""
    ranges: dict[tuple[str, int], list[tuple[int, int]]] = {}
    if isinstance(reply, dict):
        rows = [(first, last, nodes["primary"]) for (first, last), nodes in reply.items()]
    else:
        rows = [(row[0], row[1], row[2]) for row in reply]
    for first, last, node in rows:
        host = node[0].decode() if isinstance(node[0], bytes) else node[0]
        ranges.setdefault((host or asked, int(node[1])), []).append((int(first), int(last)))
    return tuple(Shard(host, port, tuple(sorted(spans))) for (host, port), spans in sorted(ranges.items()))


def _options(settings: RedisSettings, address: StoreAddress, username: str, password: str) -> dict[str, Any]:
    timeout = min(_ASK_TIMEOUT if not address.tls else 2 * _ASK_TIMEOUT, settings.timeout)
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "username": username or None,
        "password": password or None,
    }
    if address.tls:
        options["ssl"] = True
        options["ssl_ca_certs"] = settings.ca or None
        options["ssl_certfile"] = settings.cert or None
        options["ssl_keyfile"] = settings.key or None
    return options
