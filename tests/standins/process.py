"""A stand-in as a process of its own, for tests that are synchronous."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT = 20.0


class StandInProcess:
    """Started when made. `url`, `ca`, `port` say where it is; `more` what else a client of it needs. A `fast`
    one judges nothing; `came()` says what it met. With `cpu` it runs on that CPU only."""

    def __init__(
        self, kind: str, folder: Path, port: int = 0, fast: bool = False, cpu: int | None = None
    ) -> None:
        self.kind = kind
        self.folder = Path(folder)
        self._news = threading.Condition()
        self._ready: dict[str, Any] = {}
        self._pushes: list[dict[str, Any]] = []
        self._refused: list[dict[str, Any]] = []
        self._done: dict[int, str] = {}
        self._orders = 0
        self._ended = False
        self.folder.mkdir(parents=True, exist_ok=True)
        self._errors = (self.folder / "errors.txt").open("ab")
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.standins", kind),
                *("--folder", str(self.folder), "--port", str(port)),
                *(["--fast"] if fast else []),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        if cpu is not None:
            os.sched_setaffinity(self.process.pid, {cpu})
        self._reader = threading.Thread(target=self._read, name=f"stand-in {kind}", daemon=True)
        self._reader.start()
        try:
            self._wait(lambda: bool(self._ready), START_LIMIT, "start")
        except AssertionError:
            self.stop()
            raise
        self.url, self.ca, self.port = self._ready["url"], self._ready["ca"], self._ready["port"]
        self.more: dict[str, Any] = self._ready["more"]

    def options(self) -> dict[str, dict[str, Any]]:
        """Sections for the configuration of a node that pushes here."""
        return {section: dict(values) for section, values in self._ready["options"].items()}

    def wait_push(self, n: int = 1, seconds: float = 10) -> list[dict[str, Any]]:
        """All pushes accepted so far, once there are `n`: token, headers, payload, id, path, method, at."""
        self._wait(lambda: len(self._pushes) >= n, seconds, f"accept {n} pushes")
        return self.pushes()

    def pushes(self) -> list[dict[str, Any]]:
        """Those accepted so far."""
        with self._news:
            return list(self._pushes)

    def wait_refused(self, n: int = 1, seconds: float = 10) -> list[dict[str, Any]]:
        """All pushes read and not accepted, once there are `n`; `status` and `reason` say why."""
        self._wait(lambda: len(self._refused) >= n, seconds, f"refuse {n} pushes")
        return self.refused()

    def refused(self) -> list[dict[str, Any]]:
        with self._news:
            return list(self._refused)

    def fault(self, name: str, **values: Any) -> None:
        """See tests/standins/faults.py; in force when it returns."""
        self._order(fault=name, values=values)

    def clear(self, name: str = "") -> None:
        """Ends a fault, or all."""
        self._order(clear=name)

    def set(self, attribute: str, value: object) -> None:
        """Changes an attribute of the stand-in, `token_life` for instance."""
        self._order(set=attribute, value=value)

    def came(self) -> list[tuple[str, float]]:
        """Token and time (s since 1970) of each push that was accepted or, by a fast one, met. It reads the
        file, so it serves after `stop()` too."""
        if self.process.poll() is None:
            self._order(write=True)
        lines = (self.folder / "pushes.jsonl").read_text().splitlines()
        return [(told["token"], told["at"]) for told in map(json.loads, lines)]

    def pause(self) -> None:
        """SIGSTOP: connections stay, nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends it. One that is made later in the same folder has the same keys and certificates."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            try:
                self.process.stdin.close()
                self.process.wait(3)
            except (subprocess.TimeoutExpired, BrokenPipeError):
                self.process.kill()
                self.process.wait()
        self._reader.join(3)
        self._errors.close()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def __enter__(self) -> StandInProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _order(self, **order: Any) -> None:
        assert self.process.stdin is not None
        self._orders += 1
        number = self._orders
        try:
            self.process.stdin.write(json.dumps({"n": number, **order}).encode() + b"\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise AssertionError(self._evidence(f"is gone; {order}")) from None
        self._wait(lambda: number in self._done, 10, f"obey {order}")
        if self._done[number]:
            raise ValueError(self._done[number])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, _, text = line.partition(b" ")
            told = json.loads(text)
            with self._news:
                if word == b"push":
                    self._pushes.append(told)
                elif word == b"refused":
                    self._refused.append(told)
                elif word == b"done":
                    self._done[told["n"]] = told["error"]
                elif word == b"ready":
                    self._ready = told
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _wait(self, there: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        with self._news:
            while not there():
                left = deadline - time.monotonic()
                if left <= 0 or self._ended:
                    why = "it ended" if self._ended else f"not within {seconds:g} s"
                    raise AssertionError(self._evidence(f"did not {what}: {why}"))
                self._news.wait(left)

    def _evidence(self, complaint: str) -> str:
        errors = (self.folder / "errors.txt").read_text(errors="replace")[-3000:]
        refused = [(each["status"], each["reason"]) for each in self._refused[-10:]]
        return f"stand-in {self.kind} {complaint}\nrefused: {refused}\n{errors}"
