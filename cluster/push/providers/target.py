"""URLs that a phone chose: none may make this server send requests to where it should not."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import msgspec

from cluster.push.http.public import reachable
from cluster.push.providers.provider import Unsendable

LONGEST = 4096
_LOCAL = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet", ".corp", ".home")


class Target(msgspec.Struct, frozen=True):
    """A URL that may be used."""

    url: str
    host: str  # lower case, without brackets
    origin: str  # scheme, host and port (RFC 6454 6.2)
    named: bool  # its host is named in the configuration, hence trusted even if it is private


def target(token: str, hosts: Sequence[str], option: str) -> Target:
    """The URL of a Contact's pn-prid; `hosts` are ends of host names, and "*" for any public one.

    Raises Unsendable; `option` is named there.
    """
    url = unescaped(token)
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or set(url) & set(' "<>\\^`{|}'):
        raise Unsendable("pn-prid is no URL")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise Unsendable("pn-prid is no URL") from None
    if parts.scheme != "https" or not host:
        raise Unsendable("pn-prid is no https URL")
    if "@" in parts.netloc or "%" in host:
        raise Unsendable("pn-prid is a URL with a user name or an escaped host")
    named = any(_ends(host, end) for end in hosts if end != "*")
    if not named and "*" not in hosts:
        raise Unsendable(
            f"{host} is not among {option} ({', '.join(hosts) or 'none'}): add it if you trust it"
        )
    if not named and not public(host):
        raise Unsendable(f"{host} is not a public host: add it to {option} if you trust it")
    shown = f"[{host}]" if ":" in host else host
    origin = f"https://{shown}" if port in (None, 443) else f"https://{shown}:{port}"
    return Target(url.partition("#")[0], host, origin, named)


def unescaped(token: str) -> str:
    """A Contact parameter holds neither "?" nor "=", so a token with these was not escaped."""
    return token if "?" in token or "=" in token else unquote(token)


def public(host: str) -> bool:
    """Whether a host looks reachable from the Internet. What its name resolves to shows when connecting."""
    try:
        return reachable(ipaddress.ip_address(host))
    except ValueError:
        pass
    last = host.rpartition(".")[2]
    if "." not in host or last.isdigit() or last.startswith("0x"):
        return False  # "localhost", and the many ways to write 127.0.0.1
    return not f".{host}".endswith(_LOCAL)


def _ends(host: str, end: str) -> bool:
    """ ".example.org" and "example.org" both stand for the domain and all within it."""
    end = end.lower().strip("[]")
    return host == end.removeprefix(".") or host.endswith(end if end.startswith(".") else f".{end}")
