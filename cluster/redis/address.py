"""`[redis] url` taken apart, and what a connection needs beside host and port."""

from __future__ import annotations

import ssl
from urllib.parse import unquote

import msgspec

from cluster.errors import BadAddress
from cluster.settings import RedisSettings

_KINDS = {
    "redis": ("single", False, 6379),
    "rediss": ("single", True, 6379),
    "sentinel": ("sentinel", False, 26379),
    "sentinels": ("sentinel", True, 26379),
    "cluster": ("cluster", False, 6379),
    "clusters": ("cluster", True, 6379),
}
_EXPECTED = "redis://host:port/db, rediss://…, sentinel://host:port,host:port/master or cluster://host:port"


class StoreAddress(msgspec.Struct, frozen=True):
    """Where Redis is: `kind` is "single", "sentinel" or "cluster"."""

    kind: str
    hosts: tuple[tuple[str, int], ...]
    tls: bool = False
    database: int = 0
    master: str = ""  # name of the master at the sentinels
    username: str = ""
    password: str = ""


class ConnectionOptions(msgspec.Struct, frozen=True):
    """How every connection to the servers themselves is made. `timeout` in seconds, for each answer."""

    username: str = ""
    password: str = ""
    database: int = 0
    tls: ssl.SSLContext | None = None
    timeout: float = 1.5
    limit: int = 20_000  # commands in flight
    name: str = "clarion"  # as CLIENT LIST shows it


def parse_url(url: str) -> StoreAddress:
    """Raises BadAddress, naming the option."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in _KINDS:
        raise BadAddress(f"[redis] url {url!r}: expected {_EXPECTED}")
    kind, tls, default_port = _KINDS[scheme]
    credentials, _, rest = rest.rpartition("@")
    username, _, password = credentials.partition(":")
    hosts, _, path = rest.partition("/")
    if kind == "sentinel" and not path:
        raise BadAddress(f"[redis] url {url!r}: the master's name is missing at the end, /mymaster")
    if kind != "sentinel" and not (path or "0").isdigit():
        raise BadAddress(f"[redis] url {url!r}: the database after / must be a number")
    return StoreAddress(
        kind=kind,
        hosts=tuple(_host_port(host, default_port, url) for host in hosts.split(",")),
        tls=tls,
        database=int(path or "0") if kind == "single" else 0,
        master=path if kind == "sentinel" else "",
        username=unquote(username),
        password=unquote(password),
    )


def options_of(settings: RedisSettings, address: StoreAddress, name: str = "clarion") -> ConnectionOptions:
    """Raises BadAddress where a certificate file cannot be used."""
    return ConnectionOptions(
        username=settings.username or address.username,
        password=settings.password or address.password,
        database=address.database,
        tls=_context(settings) if address.tls else None,
        timeout=settings.timeout,
        name=name,
    )


def _host_port(text: str, default: int, url: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadAddress(f"[redis] url {url!r}: {text!r} is not host:port")
    return host.strip("[]"), int(port)


def _context(settings: RedisSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
        if settings.cert:
            context.load_cert_chain(settings.cert, settings.key or None)
    except (OSError, ssl.SSLError) as error:
        raise BadAddress(f"[redis] ca, cert or key cannot be used: {error}") from error
    return context
