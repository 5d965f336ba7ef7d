"""Asking DNS with c-ares; names in the hosts file come first, as everywhere else on the machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import aiodns
from aiodns.error import ARES_EBADNAME, ARES_ENODATA, ARES_ENONAME, ARES_ENOTFOUND, DNSError

from node.resolve.question import Answer, DnsError, Naptr, Question, Srv

NEGATIVE_TTL: Final = 30.0  # seconds that "no such thing" holds
HOSTS_TTL: Final = 5.0
_NUMBERS: Final = {"A": 1, "AAAA": 28, "SRV": 33, "NAPTR": 35}
_NO_SUCH_THING: Final = (ARES_EBADNAME, ARES_ENODATA, ARES_ENONAME, ARES_ENOTFOUND)


class SystemDns:
    """The servers of the system, or those given as ``address`` or ``address:port``. Needs a running loop."""

    def __init__(self, servers: Sequence[str] = (), timeout: float = 1.0, hosts: str = "/etc/hosts") -> None:
        """``timeout`` in seconds is for each of two tries."""
        self._resolver = aiodns.DNSResolver(nameservers=list(servers) or None, timeout=timeout, tries=2)
        self._hosts = Hosts(Path(hosts))

    async def ask(self, question: Question) -> Answer:
        """The records of the kind asked for. Raises DnsError."""
        if question.kind in ("A", "AAAA"):
            addresses = self._hosts.addresses(question.name, 6 if question.kind == "AAAA" else 4)
            if addresses is not None:
                return Answer(HOSTS_TTL, addresses)
        try:
            result = await self._resolver.query_dns(question.name, question.kind)
        except DNSError as error:
            if error.args and error.args[0] in _NO_SUCH_THING:
                return Answer(NEGATIVE_TTL)
            raise DnsError(f"{question.name} {question.kind}: {error}") from error
        except (ValueError, UnicodeError):  # not a domain name
            return Answer(NEGATIVE_TTL)
        return _answer(question.kind, [r for r in result.answer if r.type == _NUMBERS[question.kind]])

    async def close(self) -> None:
        """Give up what is being asked."""
        await self._resolver.close()


def _answer(kind: str, records: list[Any]) -> Answer:
    ttl = min((float(record.ttl) for record in records), default=NEGATIVE_TTL)
    data = [record.data for record in records]
    if kind == "SRV":
        return Answer(ttl, services=tuple(Srv(d.priority, d.weight, d.port, _name(d.target)) for d in data))
    if kind == "NAPTR":
        rules = (
            Naptr(
                d.order, d.preference, _text(d.flags).lower(), _text(d.service).upper(), _name(d.replacement)
            )
            for d in data
        )
        return Answer(ttl, rules=tuple(rules))
    return Answer(ttl, tuple(_text(d.addr) for d in data))


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _name(value: str | bytes) -> str:
    return _text(value).rstrip(".").lower()


class Hosts:
    """A hosts file, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = -1
        self._names: dict[str, list[str]] = {}

    def addresses(self, name: str, family: int) -> tuple[str, ...] | None:
        """The addresses of one family for a name; None for a name that is not listed."""
        try:
            version = self._path.stat().st_mtime_ns
            if version != self._version:
                self._names = _read_hosts(self._path.read_text(errors="replace"))
                self._version = version
        except OSError:
            return None
        listed = self._names.get(name)
        if listed is None:
            return None
        return tuple(address for address in listed if (":" in address) == (family == 6))


def _read_hosts(text: str) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        try:
            address = str(ipaddress.ip_address(words[0])) if words else ""
        except ValueError:
            continue
        for name in words[1:]:
            names.setdefault(name.lower(), []).append(address)
    return names
