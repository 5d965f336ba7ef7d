"""The rules that one option's type cannot say: addresses, URLs, files, and options that belong together."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cluster.errors import BadAddress
from cluster.redis.address import parse_url
from node.transport.address import ListenAddress, parse_listen, split_host
from ops.config.message_checks import check_messages
from ops.config.push_checks import Finding, check_push
from ops.settings import Settings

REDIS_SCHEMES = ("redis", "rediss", "sentinel", "sentinels", "cluster", "clusters")


def check(settings: Settings) -> Iterator[Finding]:
    """Every broken rule, as the option to change and what was expected of it."""
    yield from _addresses(settings)
    yield from _stores(settings)
    yield from _files(settings)
    yield from _registrar(settings)
    yield from check_push(settings)
    yield from check_messages(settings)


def _addresses(settings: Settings) -> Iterator[Finding]:
    seen: set[ListenAddress] = set()
    for text in settings.node.listen:
        try:
            listen = parse_listen(text)
        except ValueError as error:
            yield ("node", "listen"), f"expected an address like udp:192.0.2.1:5060; {error}"
            continue
        if listen in seen and listen.port:
            yield ("node", "listen"), f'expected each address once, got "{text}" twice'
        seen.add(listen)
    if settings.node.internal:
        yield from _internal(settings.node.internal, seen)
    try:
        split_host(settings.node.advertise or "any")
    except ValueError as error:
        yield ("node", "advertise"), f"expected host or host:port; {error}"
    for domain in settings.node.domains:
        if not domain or any(sign in domain for sign in "@/ ;"):
            yield ("node", "domains"), f'expected host names, addresses or "*", got "{domain}"'


def _internal(text: str, listening: set[ListenAddress]) -> Iterator[Finding]:
    try:
        internal = parse_listen(text)
    except ValueError as error:
        yield ("node", "internal"), f"expected an address like tcp:192.0.2.1:5070; {error}"
        return
    if internal.transport != "tcp":
        yield ("node", "internal"), f'expected tcp: before an address, got "{text}"'
    elif internal in listening and internal.port:
        yield ("node", "internal"), "expected an address of its own, got one of listen"


def _stores(settings: Settings) -> Iterator[Finding]:
    url = settings.redis.url
    scheme = urlsplit(url).scheme
    if url != "embedded" and (scheme not in REDIS_SCHEMES or not urlsplit(url).netloc):
        yield (
            ("redis", "url"),
            'expected redis://, rediss://, sentinel:// or cluster:// with a host, or "embedded"',
        )
    elif scheme.startswith("sentinel") and not urlsplit(url).path.strip("/"):
        yield ("redis", "url"), "expected the master's name at the end, like sentinel://host:26379/mymaster"
    elif url != "embedded":
        try:
            parse_url(url)
        except BadAddress as error:
            yield ("redis", "url"), str(error).removeprefix("[redis] url ")
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
