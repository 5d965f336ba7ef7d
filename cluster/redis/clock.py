"""The store's clock as known here: Redis says the time each second, our monotonic clock counts on."""

from __future__ import annotations

import time
from typing import Any


class StoreClock:
    """Bindings expire by one clock for all nodes, whatever the wall clocks of the nodes say."""

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = (time.time() - time.monotonic()) * 1e3  # a first guess

    def now_ms(self) -> int:
        """ms since 1970."""
        return int(time.monotonic() * 1e3 + self._offset)

    def asked(self) -> float:
        """Call when TIME is sent; hand the result to `told`."""
        return time.monotonic()

    def told(self, asked: float, reply: Any) -> None:
        """Take the reply to TIME, [seconds, microseconds]; it was true about half way."""
        if isinstance(reply, list):
            middle = (asked + time.monotonic()) / 2
            self._offset = int(reply[0]) * 1e3 + int(reply[1]) / 1e3 - middle * 1e3
