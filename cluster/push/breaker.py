"""When to stop trying a provider that does not answer, and when to try again. Reads no clock."""

from __future__ import annotations

THRESHOLD = 5  # attempts in a row without an answer
FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0  # s between probes, doubling


def pause(failures: int, first: float, last: float, spread: float) -> float:
    """Seconds to wait after so many failures: `first`, doubling up to `last`; `spread` (0 to 1, by chance)
    takes up to a quarter off, so that those who failed together do not come back together."""
    whole = min(last, first * 2.0 ** min(max(failures - 1, 0), 32))
    return whole * (1.0 - 0.25 * spread)


class Breaker:
    """Closed: everything passes. Open: one probe at a time, after a pause that grows."""

    __slots__ = ("_failures", "_probes", "_probing", "_retry_at", "reason")  # fmt: skip

    def __init__(self) -> None:
        self._failures = 0
        self._probes = 0  # that failed since it opened
        self._probing = False
        self._retry_at = float("-inf")
        self.reason = ""  # of the last failure while open; "" when closed

    @property
    def open(self) -> bool:
        return bool(self.reason)

    def passes(self, now: float) -> bool:
        """Whether an attempt may begin."""
        return not self.reason or (not self._probing and now >= self._retry_at)

    def opens_at(self) -> float:
        """When the next probe may begin: infinity while one is under way, the past when closed."""
        if not self.reason:
            return float("-inf")
        return float("inf") if self._probing else self._retry_at

    def begin(self) -> bool:
        """An attempt begins; whether it is a probe, which has to be handed back with its outcome."""
        self._probing = self._probing or self.open
        return self.open

    def answered(self, probe: bool) -> bool:
        """The provider answered, if only to refuse. Whether that closed the breaker."""
        was_open = self.open
        if probe or was_open:
            self._probing = False
        self._failures = self._probes = 0
        self.reason = ""
        return was_open

    def unanswered(self, now: float, probe: bool, reason: str, spread: float, at_least: float = 0.0) -> bool:
        """No answer, or one that blames the provider itself (5xx). Whether that opened the breaker."""
        reason = reason or "no answer"
        if not self.open:
            self._failures += 1
            if self._failures < THRESHOLD:
                return False
            self.reason = reason
            self._retry_at = now + max(at_least, pause(1, FIRST_PAUSE, LAST_PAUSE, spread))
            return True
        self.reason = reason
        if probe:
            self._probing = False
            self._probes += 1
            wait = pause(self._probes + 1, FIRST_PAUSE, LAST_PAUSE, spread)
            self._retry_at = now + max(at_least, wait)
        return False

    def abandoned(self, probe: bool) -> None:
        """A probe ended without having been sent: another one may begin at once."""
        if probe:
            self._probing = False
