"""Loss and jitter of one incoming RTP stream, from its headers alone (RFC 3550 A.1, A.3, A.8). Sans-IO.

`_stream.pxd` is the twin in C.
"""

from __future__ import annotations

from typing import Final

_MISORDER: Final = 100
_DROPOUT: Final = 3000


class Stream:
    """What arrived of an RTP stream. A new SSRC, or a jump that lasts, begins a new run of numbers."""

    __slots__ = (
        "_base", "_clock", "_expected", "_odd", "_run", "_timestamp", "_top", "_transit", "jitter",
        "received", "ssrc",
    )  # fmt: skip

    def __init__(self, clock: int = 8000) -> None:
        """`clock`: RTP timestamp units per second."""
        self.ssrc = -1
        self.received = 0  # packets, copies included
        self.jitter = 0.0  # s
        self._clock = clock
        self._base = self._top = self._odd = 0
        self._run = 0  # packets of this run of numbers
        self._expected = 0  # packets of the runs before
        self._transit = 0.0
        self._timestamp = -1

    @property
    def expected(self) -> int:
        """Packets that were sent, as the sequence numbers tell."""
        return self._expected + (self._top - self._base + 1 if self._run else 0)

    @property
    def lost(self) -> int:
        """Packets that did not arrive; copies can hide some."""
        return max(0, self.expected - self.received)

    def arrived(self, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        """One packet came."""
        if ssrc != self.ssrc or not self._run:
            self._begin(ssrc, sequence)
        else:
            step = sequence - self._top & 0xFFFF
            if step < _DROPOUT:
                self._top += step
            elif step <= 0x10000 - _MISORDER:
                if sequence != self._odd:
                    self._odd = sequence + 1 & 0xFFFF
                    return
                self._begin(ssrc, sequence)
        self.received += 1
        self._run += 1
        self._measure(timestamp, now)

    def _begin(self, ssrc: int, sequence: int) -> None:
        self._expected = self.expected
        self.ssrc = ssrc
        self._base = self._top = sequence
        self._odd = -1
        self._run = 0
        self._timestamp = -1

    def _measure(self, timestamp: int, now: float) -> None:
        """Interarrival jitter; packets of one frame share a timestamp and are measured once."""
        if timestamp == self._timestamp:
            return
        elapsed = (timestamp - self._timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        if self._timestamp >= 0:
            late = now - self._transit - elapsed / self._clock
            if abs(late) < 10:  # the clock of the sender jumped
                self.jitter += (abs(late) - self.jitter) / 16
        self._timestamp, self._transit = timestamp, now
