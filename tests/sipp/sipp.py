"""Runs SIPp and reads what it counted."""

import csv
import errno
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.phones.program import DOMAIN, LOOPBACK, PATIENCE, Program, free_port, need

SCENARIOS = Path(__file__).parent
BUFFER = 4_194_304


@dataclass(frozen=True, slots=True)
class Figures:
    """What one SIPp saw. `retransmissions` are messages that it sent again, or that it got again."""

    ok: int
    failed: int
    retransmissions: int
    unexpected: int
    rate: float
    seconds: float

    def flawless(self, count: int) -> bool:
        return (self.ok, self.failed, self.retransmissions, self.unexpected) == (count, 0, 0, 0)


def write_users(path: Path, count: int, name: str = "u") -> list[str]:
    """Writes the file of users that SIPp takes in turn; returns their names."""
    users = [f"{name}{number:06d}" for number in range(count)]
    path.write_text("SEQUENTIAL\n" + "".join(f"{user};\n" for user in users))
    return users


class Sipp(Program):
    """One SIPp: with a `server` it makes `count` calls at `rate` per second, without one it answers."""

    def __init__(
        self,
        folder: Path,
        scenario: str,
        *,
        server: tuple[str, int] | None = None,
        transport: str = "udp",
        users: Path | None = None,
        count: int = 0,
        rate: float = 100,
        keys: Mapping[str, str] | None = None,
        cpu: int | None = None,
        port: int = 0,
    ) -> None:
        program = need("sipp", "sip-tester")
        self.port = port or free_port()
        self.transport = transport
        home = Path(tempfile.mkdtemp(prefix=f"sipp-{scenario}-", dir=folder))
        argv = [program, *([f"{server[0]}:{server[1]}"] if server else [])]
        argv += ["-sf", str(SCENARIOS / f"{scenario}.xml"), "-t", {"udp": "u1", "tcp": "t1"}[transport]]
        argv += ["-i", LOOPBACK, "-p", str(self.port), "-nostdin", "-skip_rlimit", "-buff_size", str(BUFFER)]
        argv += ["-trace_stat", "-stf", "stat.csv", "-trace_counts", "-fd", "1"]
        argv += ["-trace_err", "-error_file", "errors"]
        if server:
            limit = int(count / rate * 2) + 30
            argv += ["-m", str(count), "-r", str(rate), "-l", "20000"]
            argv += ["-recv_timeout", "8000", "-timeout", str(limit), "-timeout_error"]
        if users is not None:
            argv += ["-inf", str(users)]
        for name, value in {"domain": DOMAIN, **(keys or {})}.items():
            argv += ["-key", name, value]
        super().__init__(f"sipp {scenario}", argv, home, cpu=cpu)
        if not server:
            self._wait_bound()

    @property
    def contact(self) -> str:
        """Host, port and transport of this SIPp as registered users give it in their Contact."""
        return f"{LOOPBACK}:{self.port};transport={self.transport}"

    def _wait_bound(self) -> None:
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.alive:
            with socket.socket(socket.AF_INET, kind) as probe:
                try:
                    probe.bind((LOOPBACK, self.port))
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        return
            time.sleep(0.01)
        raise AssertionError(self.evidence("does not listen"))

    def finish(self, seconds: float = 120) -> Figures:
        """Waits for a client to have made all its calls; what it counted."""
        self.wait_end(seconds)
        return self.figures()

    def end(self) -> Figures:
        """Lets a server finish the calls it has, ends it, and returns what it counted."""
        self.signal(signal.SIGUSR1)
        self.wait_end(20)
        return self.figures()

    def figures(self) -> Figures:
        """What has been counted; final only after the end."""
        row = self._last_row(self.folder / "stat.csv")
        again = unexpected = 0
        for counts in self.folder.glob("*_counts.csv"):
            for name, value in self._last_row(counts).items():
                again += int(value) if name.endswith("_Retrans") else 0
                unexpected += int(value) if name.endswith("_Unexp") else 0
        hours, minutes, rest = row["ElapsedTime(C)"].split(":")[:3]
        return Figures(
            ok=int(row["SuccessfulCall(C)"]),
            failed=int(row["FailedCall(C)"]),
            retransmissions=max(again, int(row["Retransmissions(C)"])),
            unexpected=unexpected,
            rate=float(row["CallRate(C)"]),
            seconds=int(hours) * 3600 + int(minutes) * 60 + float(rest),
        )

    def _last_row(self, path: Path) -> dict[str, str]:
        rows: list[dict[str, str]] = []
        if path.is_file():
            with path.open(newline="") as lines:
                rows = [row for row in csv.DictReader(lines, delimiter=";") if None not in row.values()]
        if not rows:
            raise AssertionError(self.evidence(f"left no figures in {path.name}"))
        return {name: value for name, value in rows[-1].items() if name and value}

    def digest(self) -> str:
        """The errors that it logged, else the end of its screen."""
        log = self.folder / "errors"
        return log.read_text(errors="replace")[:4000] if log.is_file() else self.text[-2500:]
