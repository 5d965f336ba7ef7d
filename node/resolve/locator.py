"""From a URI to destinations (RFC 3263): at once where everything is known, else by asking DNS."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from node.resolve.answers import Answers
from node.resolve.avoided import Avoided
from node.resolve.plan import DEFAULT_PORTS, Destination, Plan, PlanError, Steps, transport_of
from node.resolve.question import Answer, Dns, DnsError, Question
from node.sip.errors import ParseError
from node.sip.uri import parse_uri
from node.transport.address import is_address

__all__ = ["Destination", "LocateError", "Locator"]

CACHE: Final = 32_768  # URIs with numeric hosts
QUERY_TIMEOUT: Final = 2.0  # seconds, if the Dns does not keep its own
MOST_QUESTIONS: Final = 1_000  # at the same time
LOCATE_TIMEOUT: Final = 5.0  # seconds for all questions of one URI


class LocateError(Exception):
    """A URI has no destination: ``name`` is its host, ``reason`` why, ``temporary`` if DNS did not answer."""

    def __init__(self, name: str, reason: str, temporary: bool = False) -> None:
        super().__init__(f"{name}: {reason}" if name else reason)
        self.name = name
        self.reason = reason
        self.temporary = temporary


class Locator:
    """Knows numeric hosts, remembers answers, asks each question once at a time."""

    def __init__(
        self,
        dns: Dns,
        *,
        transports: Sequence[str] = ("udp", "tcp", "tls"),
        families: Sequence[int] = (4, 6),
        clock: Callable[[], float] = time.monotonic,
        below: Callable[[int], int] = random.randrange,
    ) -> None:
        """``transports`` and ``families`` (in order of preference) are those that this node can send by."""
        self._dns = dns
        self._clock = clock
        self._plan = Plan(transports, families, below)
        self._numeric: dict[bytes, tuple[Destination, ...]] = {}
        self._answers = Answers()
        self._avoided = Avoided()
        self._asking: dict[Question, asyncio.Future[Answer | None]] = {}

    def locate_now(self, uri: bytes) -> tuple[Destination, ...] | None:
        """Destinations if no question is open: a numeric host, or answers still known. Else None."""
        known = self._numeric.get(uri)
        if known is not None:
            return known
        try:
            host, port, transport = self._target(uri)
        except LocateError:
            return None
        if is_address(host):
            return self._of_number(uri, host, port, transport)
        return self._from_known(self._plan.steps(host, port, transport))

    def _from_known(self, steps: Steps) -> tuple[Destination, ...] | None:
        now = self._clock()
        try:
            questions = next(steps)
            while True:
                answers = [self._answers.get(question, now) for question in questions]
                if None in answers:
                    return None
                questions = steps.send(answers)
        except StopIteration as end:
            return self._avoided.last(end.value, now) or None

    async def locate(self, uri: bytes) -> tuple[Destination, ...]:
        """Destinations in the order to be tried, at least one, within five seconds. Raises LocateError."""
        host, port, transport = self._target(uri)
        if is_address(host):
            return self._of_number(uri, host, port, transport)
        steps = self._plan.steps(host, port, transport)
        unanswered = False
        try:
            async with asyncio.timeout(LOCATE_TIMEOUT):
                questions = next(steps)
                while True:
                    answers = await asyncio.gather(*map(self._answer, questions))
                    unanswered = unanswered or None in answers
                    questions = steps.send(answers)
        except StopIteration as end:
            if end.value:
                return self._avoided.last(end.value, self._clock())
        except TimeoutError:
            unanswered = True
        raise LocateError(host, "DNS does not answer" if unanswered else "no address in DNS", unanswered)

    def failed(self, destination: Destination) -> None:
        """A destination did not answer or refused: for half a minute it is tried last."""
        self._avoided.add(destination, self._clock())

    def answered(self, destination: Destination) -> None:
        """A destination answered: it is tried in its turn again."""
        self._avoided.remove(destination)

    def clear(self) -> None:
        """Forget what DNS said."""
        self._answers.clear()

    def _target(self, raw: bytes) -> tuple[str, int, str]:
        """Host (or maddr), port and demanded transport of a URI (RFC 3263 4, RFC 3261 19.1.1)."""
        try:
            uri = parse_uri(raw)
            transport = transport_of(uri, self._plan.transports)
        except ParseError as error:
            raise LocateError("", error.reason) from None
        except PlanError as error:
            raise LocateError(uri.host, str(error)) from None
        host = uri.params.get("maddr") or uri.host
        return host.strip("[]").lower().rstrip("."), uri.port, transport

    def _of_number(self, uri: bytes, host: str, port: int, transport: str) -> tuple[Destination, ...]:
        chosen = transport or self._plan.default
        found = (Destination(chosen, host, port or DEFAULT_PORTS[chosen], host),)
        if len(self._numeric) >= CACHE:
            self._numeric.clear()
        self._numeric[uri] = found
        return found

    async def _answer(self, question: Question) -> Answer | None:
        """What is known, else what DNS says; None if it does not answer and never did lately."""
        known = self._answers.get(question, self._clock())
        if known is not None:
            return known
        asking = self._asking.get(question)
        if asking is None:
            if len(self._asking) >= MOST_QUESTIONS:
                return self._answers.stale(question, self._clock())
            asking = self._asking[question] = asyncio.ensure_future(self._ask(question))
        return await asyncio.shield(asking)  # others may wait for it too

    async def _ask(self, question: Question) -> Answer | None:
        try:
            answer = await asyncio.wait_for(self._dns.ask(question), QUERY_TIMEOUT)
        except (DnsError, TimeoutError):
            return self._answers.stale(question, self._clock())
        finally:
            del self._asking[question]
        self._answers.put(question, answer, self._clock())
        return answer
