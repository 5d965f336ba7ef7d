"""Exceptions that escape the receiver: counted, logged at most once a second, never fatal to a reader."""

from __future__ import annotations

import logging
import time
from typing import Final

log = logging.getLogger("clarion.transport")

QUIET: Final = 1.0  # seconds between two log lines


class Faults:
    """Call ``caught`` from an except block."""

    __slots__ = ("_hidden", "_next", "count")

    def __init__(self) -> None:
        self.count = 0
        self._next = 0.0
        self._hidden = 0

    def caught(self, flow: object) -> None:
        """The exception being handled came from the receiver, for a message on ``flow``."""
        self.count += 1
        now = time.monotonic()
        if now < self._next:
            self._hidden += 1
            return
        log.exception("A message from %s failed inside the node (%d more since)", flow, self._hidden)
        self._next, self._hidden = now + QUIET, 0
