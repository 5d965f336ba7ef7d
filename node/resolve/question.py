"""DNS questions and answers as RFC 3263 needs them."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Question(NamedTuple):
    """A domain name (lower case, no dot at the end) and "A", "AAAA", "SRV" or "NAPTR"."""

    name: str
    kind: str


class Srv(NamedTuple):
    """RFC 2782. ``target`` is "" where the service is said not to exist."""

    priority: int
    weight: int
    port: int
    target: str


class Naptr(NamedTuple):
    """RFC 3403. ``service`` is upper case, ``flags`` lower case."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Answer(NamedTuple):
    """What a question got: none of the three if the name or record does not exist. ``ttl`` is in seconds."""

    ttl: float
    addresses: tuple[str, ...] = ()
    services: tuple[Srv, ...] = ()
    rules: tuple[Naptr, ...] = ()


class DnsError(Exception):
    """No answer was to be had: a timeout, a refusal, a server failure. Asking again later may help."""


class Dns(Protocol):
    """Who asks."""

    async def ask(self, question: Question) -> Answer:
        """The answer, within two seconds or so. Raises DnsError."""
