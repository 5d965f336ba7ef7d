"""RFC 3263 section 4 as a generator: it yields questions, is sent their answers, and returns destinations.

Sans-IO, so the same steps run at once over known answers and over the network. An answer is None where nobody
could be asked; the plan then goes on with what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Final, NamedTuple

from node.resolve.question import Answer, Naptr, Question, Srv
from node.sip.uri import Uri

MOST_SERVICES: Final = 16
MOST_DESTINATIONS: Final = 32
DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}
_SERVICES: Final[dict[str, str]] = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_LABELS: Final = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}

Answers = Sequence[Answer | None]
Steps = Generator[list[Question], Answers, tuple["Destination", ...]]


class Destination(NamedTuple):
    """Where to send: ``host`` is an IP address, ``name`` the name that a TLS certificate must show."""

    transport: str
    host: str
    port: int
    name: str


class PlanError(Exception):
    """A URI that leads nowhere, whatever DNS says; the text says why."""


def transport_of(uri: Uri, supported: Sequence[str]) -> str:
    """The transport that a URI demands, "" if it leaves the choice. Raises PlanError."""
    wanted = uri.transport or ""
    if uri.scheme not in ("sip", "sips") or not uri.host:
        raise PlanError(f"a {uri.scheme} URI names no host")
    if uri.scheme == "sips":
        if wanted not in ("", "tcp", "tls"):
            raise PlanError(f"sips does not go over {wanted}")
        wanted = "tls"
    if wanted and wanted not in supported:
        raise PlanError(f"transport {wanted} is not supported")
    return wanted


class Plan:
    """How one node locates: which transports and address families it has, and its dice."""

    def __init__(
        self,
        transports: Sequence[str],
        families: Sequence[int],
        below: Callable[[int], int],
    ) -> None:
        """``families`` are 4 and 6 in order of preference; ``below(n)`` draws from 0 to n - 1."""
        self.transports = tuple(transports)
        self._kinds = tuple("AAAA" if family == 6 else "A" for family in families)
        self._below = below

    def steps(self, host: str, port: int, transport: str) -> Steps:
        """Destinations of a domain name, by 4.1 (which transport) and 4.2 (which address)."""
        if port:
            chosen = transport or self.default
            return (yield from self._addresses([(chosen, host, port)], host))
        if transport:
            services = [Question(_LABELS[transport] + host, "SRV")]
            transports = [transport]
        else:
            services, transports = yield from self._by_naptr(host)
        found = yield from self._by_srv(services, transports)
        if found is None:
            chosen = transport or self.default
            found = [(chosen, host, DEFAULT_PORTS[chosen])]
        return (yield from self._addresses(found, host))

    @property
    def default(self) -> str:
        """The transport where neither URI nor DNS names one: UDP if this node has it."""
        return next((name for name in ("udp", "tcp", "tls") if name in self.transports), "udp")

    def _by_naptr(self, host: str) -> Generator[list[Question], Answers, tuple[list[Question], list[str]]]:
        """SRV questions in the order that NAPTR rules ask for, or those of all our transports."""
        (answer,) = yield [Question(host, "NAPTR")]
        rules = [rule for rule in answer.rules if self._usable(rule)] if answer else []
        if rules:
            rules.sort(key=lambda rule: (rule.order, rule.preference))
            return (
                [Question(rule.replacement, "SRV") for rule in rules],
                [_SERVICES[rule.service] for rule in rules],
            )
        transports: list[str] = [name for name in ("udp", "tcp", "tls") if name in self.transports]
        return [Question(_LABELS[name] + host, "SRV") for name in transports], transports

    def _usable(self, rule: Naptr) -> bool:
        return rule.flags == "s" and _SERVICES.get(rule.service) in self.transports

    def _by_srv(
        self, questions: list[Question], transports: list[str]
    ) -> Generator[list[Question], Answers, list[tuple[str, str, int]] | None]:
        """Transport, target and port in order; None where there are no SRV records at all."""
        found: list[tuple[str, str, int]] = []
        exists = False
        for transport, answer in zip(transports, (yield questions), strict=True):
            services = answer.services if answer else ()
            exists = exists or bool(services)
            found += [(transport, s.target, s.port) for s in self.ordered(services) if s.target]
        return found[:MOST_SERVICES] if exists else None

    def ordered(self, services: Sequence[Srv]) -> list[Srv]:
        """RFC 2782: by priority, and by chance in proportion to the weight within one."""
        if len(services) < 2:
            return list(services)
        order: list[Srv] = []
        left = sorted(services, key=lambda service: (service.priority, service.weight))
        while left:
            equal = [service for service in left if service.priority == left[0].priority]
            left = left[len(equal) :]
            while equal:
                drawn = self._below(sum(service.weight for service in equal) + 1)
                index = 0
                while drawn > equal[index].weight:
                    drawn -= equal[index].weight
                    index += 1
                order.append(equal.pop(index))
        return order

    def _addresses(self, targets: list[tuple[str, str, int]], name: str) -> Steps:
        kinds = self._kinds
        questions = [Question(host, kind) for _, host, _ in targets for kind in kinds]
        answers = (yield questions) if questions else ()
        found: list[Destination] = []
        for number, (transport, _, port) in enumerate(targets):
            for answer in answers[number * len(kinds) : (number + 1) * len(kinds)]:
                addresses = answer.addresses if answer else ()
                found += [Destination(transport, address, port, name) for address in addresses]
        return tuple(dict.fromkeys(found[:MOST_DESTINATIONS]))
