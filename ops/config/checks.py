"""The rules that one option's type cannot say: addresses, URLs, files, and options that belong together."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ops.settings import Settings

Finding = tuple[tuple[str, str], str]  # ((section, option), what was expected)

REDIS_SCHEMES = ("redis", "rediss", "sentinel", "sentinels", "cluster", "clusters")


def check(settings: Settings) -> Iterator[Finding]:
    """Every broken rule, as the option to change and what was expected of it."""
    yield from _addresses(settings)
    yield from _stores(settings)
    yield from _files(settings)
    yield from _registrar(settings)


def parse_listen(text: str) -> tuple[str, str, int]:
    """`"tls:[::1]:5061"` -> `("tls", "::1", 5061)`. Raises ValueError with what was expected."""
    transport, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    if transport not in ("udp", "tcp", "tls"):
        raise ValueError(f'expected udp:, tcp: or tls: before an address, got "{text}"')
    if not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f'expected a port from 0 to 65535 at the end, got "{text}"')
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f'expected an IP address, IPv6 in brackets, got "{text}"') from None
    if (address.version == 6) != host.startswith("["):
        raise ValueError(f'expected an IPv6 address (and only that) in brackets, got "{text}"')
    return transport, str(address), int(port)


def _addresses(settings: Settings) -> Iterator[Finding]:
    seen: set[tuple[str, str, int]] = set()
    for text in settings.node.listen:
        try:
            listen = parse_listen(text)
        except ValueError as error:
            yield ("node", "listen"), str(error)
            continue
        if listen in seen and listen[2]:
            yield ("node", "listen"), f'expected each address once, got "{text}" twice'
        seen.add(listen)
    try:
        internal = parse_listen(settings.node.internal)
        if internal[0] != "tcp":
            yield ("node", "internal"), f'expected tcp: before an address, got "{settings.node.internal}"'
        elif internal in seen and internal[2]:
            yield ("node", "internal"), "expected an address of its own, got one of listen"
    except ValueError as error:
        yield ("node", "internal"), str(error)
    for domain in settings.node.domains:
        if not domain or any(sign in domain for sign in "@/ ;"):
            yield ("node", "domains"), f'expected host names, addresses or "*", got "{domain}"'


def _stores(settings: Settings) -> Iterator[Finding]:
    url = settings.redis.url
    scheme = urlsplit(url).scheme
    if url != "embedded" and (scheme not in REDIS_SCHEMES or not urlsplit(url).netloc):
        yield (
            ("redis", "url"),
            'expected redis://, rediss://, sentinel:// or cluster:// with a host, or "embedded"',
        )
    if scheme.startswith("sentinel") and not urlsplit(url).path.strip("/"):
        yield ("redis", "url"), "expected the master's name at the end, like sentinel://host:26379/mymaster"
    if settings.etcd.endpoints == "embedded":
        return
    if not settings.etcd.endpoints:
        yield ("etcd", "endpoints"), 'expected at least one URL, or "embedded"'
    for endpoint in settings.etcd.endpoints:
        if not endpoint.startswith(("http://", "https://")) or not urlsplit(endpoint).netloc:
            yield ("etcd", "endpoints"), f'expected http://host:port or https://host:port, got "{endpoint}"'


def _files(settings: Settings) -> Iterator[Finding]:
    for section in ("tls", "redis", "etcd"):
        part = getattr(settings, section)
        for name in ("cert", "key", "ca"):
            path = getattr(part, name)
            if path and not Path(path).is_file():
                yield (section, name), f'expected a file that exists, "{path}" does not'
        if part.key and not part.cert:
            yield (section, "cert"), "expected the certificate that belongs to key"
    if settings.registrar.static_file and not Path(settings.registrar.static_file).is_file():
        yield (
            ("registrar", "static_file"),
            f'expected a file that exists, "{settings.registrar.static_file}" does not',
        )


def _registrar(settings: Settings) -> Iterator[Finding]:
    registrar = settings.registrar
    if registrar.min_expires > registrar.max_expires:
        yield ("registrar", "min_expires"), f"expected at most max_expires, which is {registrar.max_expires}"
    elif not registrar.min_expires <= registrar.default_expires <= registrar.max_expires:
        bounds = f"{registrar.min_expires} to {registrar.max_expires}"
        yield (
            ("registrar", "default_expires"),
            f"expected a value between min_expires and max_expires, {bounds}",
        )
