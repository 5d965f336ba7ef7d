"""A child process that lives exactly as long as this node: started, watched, restarted, never left behind.

The kernel kills the child when we die, even by SIGKILL (PR_SET_PDEATHSIG). It runs in a session of its own,
so that Ctrl-C in a terminal reaches us alone and the stores outlive the draining of the node.
"""

import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from cluster.ending import end
from ops.errors import StartError

PR_SET_PDEATHSIG = 1
FIRST_DELAY = 0.2  # s before the first restart; doubles up to LAST_DELAY
LAST_DELAY = 10.0
STABLE = 60.0  # s of life after which a death counts as the first again
READY_WITHIN = 20.0
STOP_WITHIN = 5.0
# variables by which a child would speak to systemd in our name, or be set up behind our back
PRIVATE = ("NOTIFY_SOCKET", "WATCHDOG_", "LISTEN_", "ETCD_", "CLARION_")

log = logging.getLogger("clarion.child")
_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """One supervised program. `ready()` is awaited after each start; its failure is a failed start."""

    def __init__(
        self, name: str, arguments: Sequence[str], log_file: Path, ready: Callable[[], Awaitable[bool]]
    ) -> None:
        self.name = name
        self.restarts = 0
        self._arguments = list(arguments)
        self._log_file = log_file
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self._supervision: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running program, 0 if it is down."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    async def start(self) -> None:
        """Starts it, waits until it serves, and watches it from then on. Raises StartError."""
        self._spawn()
        try:
            await self._wait_ready()
        except BaseException:
            await self._end()
            raise
        self._supervision = asyncio.create_task(self._supervise(), name=f"supervise {self.name}")

    async def stop(self) -> None:
        """Ends it: asks first, kills after STOP_WITHIN seconds."""
        await end(self._supervision)
        self._supervision = None
        await self._end()

    def _spawn(self) -> None:
        parent = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the call above
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with self._log_file.open("ab") as output:
                self._process = subprocess.Popen(
                    self._arguments,
                    stdin=subprocess.DEVNULL,
                    env={name: value for name, value in os.environ.items() if not name.startswith(PRIVATE)},
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
        except OSError as error:
            raise StartError(f"{self._arguments[0]} cannot be run: {error.strerror}") from None

    async def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while self.pid and time.monotonic() < deadline:
            if await self._ready():
                return
            await asyncio.sleep(0.02)
        state = "did not get ready" if self.pid else "ended at once"
        raise StartError(f"the embedded {self.name} {state}; its last words are in {self._log_file}")

    async def _supervise(self) -> None:
        delay = FIRST_DELAY
        while True:
            born = time.monotonic()
            code = await self._ended()
            if time.monotonic() - born > STABLE:
                delay = FIRST_DELAY
            log.error(
                "embedded %s ended (%s), starting it again in %.1f s; its log is %s",
                self.name, cause(code), delay, self._log_file,
            )  # fmt: skip
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_DELAY)
            self.restarts += 1
            try:
                self._spawn()
                await self._wait_ready()
                log.warning("embedded %s serves again", self.name)
            except StartError as error:
                log.error("%s", error)
                await self._end()

    async def _ended(self) -> int:
        """Waits until the process is gone; returns its exit code (negative: signal)."""
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            loop = asyncio.get_running_loop()
            gone = loop.create_future()
            descriptor = os.pidfd_open(process.pid)
            loop.add_reader(descriptor, _resolve, gone)
            try:
                await gone
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        return process.wait()

    async def _end(self) -> None:
        if not self.pid:
            return
        assert self._process is not None
        self._process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await self._ended()
        except TimeoutError:
            self._process.kill()
            await self._ended()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def cause(code: int) -> str:
    """An exit code in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
