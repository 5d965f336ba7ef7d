"""The rules of `[push]` and of what each push service needs before anything can be sent to it."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ops.config.options import title
from ops.config.problem import masked
from ops.settings import Settings

Finding = tuple[tuple[str, str], str]  # ((table, option), what was expected)

PLACEHOLDERS = frozenset((
    "type", "token", "app-id", "from-name", "from-uri", "from-tag", "to-uri",
    "call-id", "event", "sound", "msgid", "uid",
))  # fmt: skip


def check_push(settings: Settings) -> Iterator[Finding]:
    """Every broken rule, as the option to change and what was expected of it."""
    yield from _push(settings)
    yield from _apns(settings)
    yield from _fcm(settings)
    yield from _wns(settings)
    yield from _webpush(settings)
    yield from _webhook(settings)


def _push(settings: Settings) -> Iterator[Finding]:
    proxy = settings.push.proxy
    if proxy and not _is_url(proxy, "http"):
        yield (
            ("push", "proxy"),
            f'expected http://host:port, or http://user:password@host:port, got "{masked(proxy)}"',
        )
    yield from _file("push", "ca", settings.push.ca)


def _apns(settings: Settings) -> Iterator[Finding]:
    for app, apns in settings.apns.items():
        table = title("apns", app)
        if apns.key and apns.cert:
            yield (
                (table, "cert"),
                "expected either key or cert, got both; a key (.p8) never expires: keep that",
            )
        if not (apns.key or apns.cert or apns.voip_cert):
            yield (table, "key"), "expected a signing key (.p8) or cert, got neither; nothing could be sent"
        for name in ("key_id", "team"):
            value = getattr(apns, name)
            if apns.key and not re.fullmatch(r"[A-Z0-9]{10}", value):
                got = f'"{value}"' if value else "nothing"
                yield (
                    (table, name),
                    f"expected the 10 letters and digits that Apple shows next to the key, got {got}",
                )
        if apns.cert_key and not (apns.cert or apns.voip_cert):
            yield (table, "cert"), "expected the certificate that belongs to cert_key"
        for name in ("key", "cert", "cert_key", "voip_cert"):
            yield from _file(table, name, getattr(apns, name))
        yield from _server(table, "server", apns.server)
        yield from _server(table, "sandbox", apns.sandbox)


def _fcm(settings: Settings) -> Iterator[Finding]:
    for app, fcm in settings.fcm.items():
        table = title("fcm", app)
        if not fcm.service_account:
            yield (
                (table, "service_account"),
                "expected the file that Firebase gives under Project settings, Service accounts, got nothing",
            )
        yield from _file(table, "service_account", fcm.service_account)
        yield from _server(table, "server", fcm.server)
        if fcm.token_server:
            yield from _server(table, "token_server", fcm.token_server)


def _wns(settings: Settings) -> Iterator[Finding]:
    for app, wns in settings.wns.items():
        table = title("wns", app)
        if not wns.secret:
            yield (table, "secret"), "expected the secret of the app, got nothing; nothing could be sent"
        if wns.token_server:
            yield from _server(table, "token_server", wns.token_server)


def _webpush(settings: Settings) -> Iterator[Finding]:
    webpush = settings.webpush
    yield from _file("webpush", "key", webpush.key)
    if webpush.key and not re.match(r"mailto:[^@\s]+@[^@\s]+$|https://\S+$", webpush.subject):
        got = f'"{webpush.subject}"' if webpush.subject else "nothing"
        yield (
            ("webpush", "subject"),
            f"expected mailto:you@example.org or an https: address, got {got}; "
            "push services refuse keys without one",
        )


def _webhook(settings: Settings) -> Iterator[Finding]:
    url = settings.webhook.url
    if url and not _is_url(url, "http", "https"):
        yield ("webhook", "url"), f'expected http://… or https://…, got "{masked(url)}"'
    for word in re.findall(r"\$([A-Za-z0-9_-]*)", url):
        if word.rstrip("-") not in PLACEHOLDERS:
            known = " ".join(f"${name}" for name in sorted(PLACEHOLDERS))
            yield ("webhook", "url"), f"expected a placeholder that exists, got ${word}; there are {known}"


def _server(table: str, name: str, url: str) -> Iterator[Finding]:
    if not _is_url(url, "https", "http"):
        yield (table, name), f'expected https://host or https://host:port, got "{masked(url)}"'


def _file(table: str, name: str, path: str) -> Iterator[Finding]:
    if path and not Path(path).is_file():
        yield (table, name), f'expected a file that exists, "{path}" does not'


def _is_url(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False
