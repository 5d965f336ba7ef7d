"""Where a request goes: the server in its URL, the proxy on the way, the files of its TLS."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from cluster.push.http.message import Connection

Stamps = tuple[tuple[int, int, int], ...]


class Proxy(msgspec.Struct, frozen=True):
    """An HTTP proxy; `name` is host and port and may be shown, the rest may not."""

    url: str  # without user and password; "" if what was configured is no such URL
    name: str
    user: str = ""  # user:password as libcurl wants it

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Of http://user:password@host:port; https is possible too."""
        return _proxy(text)


@lru_cache(maxsize=32)
def _proxy(text: str) -> Proxy:
    wrong = Proxy("", "(unreadable)")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return wrong
    if parts.scheme not in ("http", "https") or not host:
        return wrong
    shown = f"[{host}]" if ":" in host else host
    name = f"{shown}:{port or (443 if parts.scheme == 'https' else 3128)}"
    user = ""
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return Proxy(f"{parts.scheme}://{name}", name, user)


def origin(url: str) -> str:
    """Scheme, host and port of an http or https URL, `https://host:443`; "" if it is none."""
    end = url.find("/", 8)
    return _origin(url if end < 0 else url[:end])


@lru_cache(maxsize=512)
def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in ("http", "https"):
        return ""
    authority = rest.partition("/")[0].partition("?")[0].rpartition("@")[2].lower()
    return f"{scheme}://{authority}" if authority else ""


def stamps(connection: Connection) -> Stamps:
    """What changes when one of the files of a connection does. A file that is not there counts too."""
    return tuple(_stamp(path) for path in (connection.ca, connection.cert, connection.key) if path)


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        stat = Path(path).stat()
    except OSError:
        return 0, 0, 0
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


@lru_cache(maxsize=1)
def system_ca() -> tuple[str, str]:
    """The system's CA file and folder; libcurl's wheel looks where another distribution keeps them."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or "", paths.capath or ""
