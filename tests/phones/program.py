"""Runs a program, collects what it prints, and waits for lines in it without polling."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"
DOMAIN = "phones.test"
"""Domain of every address of record in these tests. No phone resolves it: all have the node as their route.
"""
PATIENCE = 15.0
"""Deadline in seconds of every wait that a test does not shorten itself."""


def need(program: str, package: str) -> str:
    """Path of an installed program; skips the test where it is missing, and fails it when CI is set."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin")
    if path:
        return path
    text = f"{program} is not installed (package {package})"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 below the ephemeral range that is free for UDP and TCP and was not given before."""
    start = 15000 + (os.getpid() * 97) % 12000
    for port in range(start, start + 4000):
        if port in _given:
            continue
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                stack.enter_context(socket.socket(socket.AF_INET, kind)).bind((LOOPBACK, port))
            _given.add(port)
            return port
    raise AssertionError("no free port on 127.0.0.1")


class Program:
    """A child process whose output is read as it comes.

    `wait(pattern)` returns the first match after the last one that was waited for, or raises AssertionError
    with the whole evidence when the deadline passes or the program ends.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        cpu: int | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.text = ""
        self._cursor = 0
        self._ended = False
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            argv,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        if cpu is not None:
            os.sched_setaffinity(self.process.pid, {cpu})
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while data := stream.read(65536):
            self.note(data.decode(errors="replace"))
        with self._news:
            self._ended = True
            self._news.notify_all()

    def note(self, text: str) -> None:
        """Adds to what the program has printed, and wakes who waits for it."""
        with self._news:
            self.text += text
            self._news.notify_all()

    def say(self, line: str) -> None:
        """Writes one line to the program's standard input."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            raise AssertionError(self.evidence(f"ended before it could be told {line!r}")) from None

    def mark(self) -> None:
        """Forgets what was printed so far: the next wait only looks at what comes from now on."""
        with self._news:
            self._cursor = len(self.text)

    def wait(self, pattern: str, seconds: float = PATIENCE, what: str = "") -> re.Match[str]:
        """Waits for the next match of a regular expression in the output and moves behind it."""
        wanted = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                if found := wanted.search(self.text, self._cursor):
                    self._cursor = found.end()
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self._ended:
                    break
                self._news.wait(left)
        why = "ended" if self._ended else f"not within {seconds:g} s"
        raise AssertionError(self.evidence(f"waited for {what or pattern!r}: {why}"))

    def evidence(self, complaint: str) -> str:
        """What an assertion says: the complaint and the part of the output that explains it."""
        return f"{self.name}: {complaint}\n--- {self.name} ---\n{self.digest()}\n--- end of {self.name} ---"

    def digest(self) -> str:
        """The part of the output worth showing."""
        return self.text[-6000:]

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_end(self, seconds: float = PATIENCE) -> int:
        """Waits for the program to end; returns its exit code, negative for a signal."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.evidence(f"still runs after {seconds:g} s")) from None

    def signal(self, number: signal.Signals) -> None:
        if self.alive:
            self.process.send_signal(number)

    def stop(self, seconds: float = 5.0) -> None:
        """Ends the program by SIGTERM, and whatever it left in its process group by SIGKILL."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(2)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
