"""One run: so many units of work at so many a second, played by SIPp, and what they cost."""

import resource
import time
from dataclasses import dataclass
from pathlib import Path

from loadtests.compare.cpu import cpu_seconds, load_cpu, machine_seconds
from loadtests.compare.targets import Target
from tests.phones.program import free_port
from tests.sipp.sipp import Figures, Sipp, write_users

ANSWERED_BY = {"call": "answer", "message": "receive"}
RETRANSMISSIONS = 0.001
HELD = {"call": 0.45}
"""Seconds that the scenario itself rests in each unit."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one unit cost in microseconds of CPU, and whether the run counts."""

    target: str
    work: str
    transport: str
    rate: int
    server: float
    store: float
    sipp: float
    neighbours: float
    """Part of the machine's time, in percent, that neither server, store nor SIPp had."""
    flaw: str
    """Why the run does not count; empty if it does."""


class Load:
    """The users of one target and the places where they are called, by transport."""

    def __init__(self, target: Target, folder: Path, count: int) -> None:
        self.target = target
        self.count = count
        self.folder = folder / target.name
        self.folder.mkdir()
        self._port = {"udp": free_port(), "tcp": free_port()}
        self._users: dict[str, Path] = {}

    def _contact(self, transport: str) -> str:
        return f"127.0.0.1:{self._port[transport]};transport={transport}"

    def users(self, transport: str, again: str = "") -> Path:
        """The file of the users whose phone is behind this transport; registers them if they are not yet.

        They register over UDP even if they are called over TCP, so that every target opens the connection to
        them. `again` names a second set that is registered by nobody.
        """
        name = {"udp": "u", "tcp": "t"}[transport] + again
        if name not in self._users:
            self._users[name] = self.folder / f"{name}.csv"
            write_users(self._users[name], self.count, name)
            if not again:
                self._fill(self._users[name], transport)
        return self._users[name]

    def _fill(self, users: Path, transport: str) -> None:
        sipp = self._client("register", "udp", users, self.count, 2000, self._contact(transport))
        figures = sipp.finish()
        sipp.stop()
        if figures.ok != self.count:
            raise AssertionError(
                sipp.evidence(f"{self.target.name}: users could not be registered: {figures}")
            )

    def _client(
        self, scenario: str, transport: str, users: Path, count: int, rate: float, contact: str
    ) -> Sipp:
        return Sipp(
            self.folder,
            scenario,
            server=self.target.address(),
            transport=transport,
            users=users,
            count=count,
            rate=rate,
            keys={"contact": contact},
            cpu=load_cpu(),
        )

    def run(self, work: str, transport: str, rate: int, seconds: float) -> Cost:
        """Plays `rate` units of `work` a second for so long."""
        # a connection that registers takes its users over, so nobody calls those
        users = self.users(transport, "r" if (work, transport) == ("register", "tcp") else "")
        count = int(rate * seconds)
        callee = None
        if work in ANSWERED_BY:
            callee = Sipp(
                self.folder,
                ANSWERED_BY[work],
                transport=transport,
                port=self._port[transport],
                cpu=load_cpu(),
            )
        before = self._usage()
        client = self._client(work, transport, users, count, rate, self._contact(transport))
        seen = client.finish(count / rate * 2 + 60)
        spent = [now - then for now, then in zip(self._usage(), before, strict=True)]
        answered = callee.end() if callee else None
        client.stop()
        if callee:
            callee.stop()
        sipp = _children() - before[3]
        flaw = _flaw(work, count, rate, seen, answered)
        ours = spent[0] + spent[1] + sipp
        return Cost(
            target=self.target.name,
            work=work,
            transport=transport,
            rate=rate,
            server=1e6 * spent[0] / count,
            store=1e6 * spent[1] / count,
            sipp=1e6 * sipp / count,
            neighbours=max(0.0, 100 * (spent[2] - ours) / (spent[4] * 2)),
            flaw=f"{flaw}: {client.digest()[:300]}" if flaw else "",
        )

    def _usage(self) -> tuple[float, float, float, float, float]:
        server, store = cpu_seconds([self.target.pid]), self.target.store_seconds()
        return server, store, machine_seconds(), _children(), time.monotonic()


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _flaw(work: str, count: int, rate: int, seen: Figures, answered: Figures | None) -> str:
    if seen.ok != count:
        return f"{count - seen.ok} of {count} failed"
    if answered is not None and answered.ok < count:
        return f"{count - answered.ok} of {count} did not end well at the callee"
    again = seen.retransmissions + (answered.retransmissions if answered else 0)
    if again > RETRANSMISSIONS * count:
        return f"{again} retransmissions"
    reached = count / max(seen.seconds - HELD.get(work, 0), 1e-9)
    if reached < 0.93 * rate:
        return f"only {reached:.0f}/s"
    return ""
