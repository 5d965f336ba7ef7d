"""Events as JSON lines: what the rooms below tell, written to a file or to standard output.

`emit` only appends to a bounded queue; a thread encodes and writes what was collected, five times a second.
If the disk cannot follow, events are dropped and counted, and the node never waits. A file that was moved
away by log rotation is opened anew.
"""

import asyncio
import dataclasses
import logging
import os
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import msgspec
import orjson

from ops.device import device_shown
from ops.notices import notice

CAPACITY = 20_000
INTERVAL = 0.2  # s between two writes

log = logging.getLogger("clarion.events")


class EventLog:
    """The one end of `emit(event)`. Events are msgspec structs, dataclasses or named tuples."""

    def __init__(self, target: str, node: str) -> None:
        """`target`: a file, `stdout`, or empty for counting only. `node` is written into every line."""
        self.emitted = 0
        self.dropped = 0
        self._target = target
        self._node = node
        self._queue: deque[tuple[float, Any]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._output: IO[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None
        self._failed = False

    def emit(self, event: object) -> None:
        """Takes one event; never blocks and never raises."""
        self.emitted += 1
        notice(event)
        if not self._target:
            return
        if len(self._queue) >= CAPACITY:
            self.dropped += 1
            return
        self._queue.append((time.time(), event))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._flush)

    async def close(self) -> None:
        """Writes what is still queued and closes the file."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, list(self._queue))
        self._queue.clear()
        self._thread.shutdown()
        if self._output is not None and self._output is not sys.stdout.buffer:
            self._output.close()

    def _flush(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self._writing is not None and not self._writing.done():
            self._timer = loop.call_later(INTERVAL, self._flush)
            return
        batch = list(self._queue)
        self._queue.clear()
        self._writing = loop.run_in_executor(self._thread, self._write, batch)

    def _write(self, batch: list[tuple[float, Any]]) -> None:
        """In the thread."""
        if not batch:
            return
        lines = b"".join(line(self._node, at, event) for at, event in batch)
        try:
            output = self._current()
            output.write(lines)
            output.flush()
            self._failed = False
        except OSError as error:
            self.dropped += len(batch)
            if not self._failed:
                log.error("[log] events: %s cannot be written: %s", self._target, error.strerror)
            self._failed = True

    def _current(self) -> IO[bytes]:
        """The open output; a file that is no longer where it was is opened again."""
        if self._target == "stdout":
            return sys.stdout.buffer
        path = Path(self._target)
        if self._output is not None:
            held = os.fstat(self._output.fileno())
            try:
                there = path.stat()
            except FileNotFoundError:
                there = None
            if there is not None and (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino):
                return self._output
            self._output.close()
        self._output = path.open("ab")
        return self._output


def line(node: str, at: float, event: object) -> bytes:
    """One event as a JSON line: time, node, kind, then the fields of the record."""
    head = {"at": round(at, 6), "node": node, "event": type(event).__name__}
    fields = _fields(event)
    if "event" in fields:  # what a push tells: the name of the record keeps its place
        fields["why"] = fields.pop("event")
    if "device" in fields:
        fields["device"] = device_shown(fields["device"])
    if "devices" in fields:
        fields["devices"] = [device_shown(device) for device in fields["devices"]]
    return orjson.dumps(head | fields, default=_plain, option=orjson.OPT_APPEND_NEWLINE)


def _fields(event: object) -> dict[str, Any]:
    if isinstance(event, msgspec.Struct):
        return msgspec.structs.asdict(event)
    if dataclasses.is_dataclass(event) and not isinstance(event, type):
        return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    if isinstance(event, tuple) and hasattr(event, "_asdict"):
        return dict(event._asdict())
    return {"value": event}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)
