"""The media ports of one address: drawn by chance, rested before they are used again. Sans-IO.

Ports are drawn by chance so that nobody can guess where the next call will be heard, and rest after a call so
that what still arrives for it does not reach the next one.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable


class PortsExhausted(Exception):
    """No port is free now; the call has to be refused."""


class _Bag:
    """Numbers from which any one can be taken by chance, or by name."""

    __slots__ = ("_at", "_members")

    def __init__(self, members: Iterable[int] = ()) -> None:
        self._members = list(members)
        self._at = {member: index for index, member in enumerate(self._members)}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: int) -> bool:
        return member in self._at

    def add(self, member: int) -> None:
        self._at[member] = len(self._members)
        self._members.append(member)

    def remove(self, member: int) -> None:
        index = self._at.pop(member)
        last = self._members.pop()
        if last != member:
            self._members[index] = last
            self._at[last] = index

    def draw(self, chance: random.Random) -> int:
        member = self._members[chance.randrange(len(self._members))]
        self.remove(member)
        return member


class PortPool:
    """Ports from `first` to `last`. An even port and the odd one after it are a pair (RFC 3550 11)."""

    def __init__(
        self, first: int, last: int, rest: float = 30.0, chance: random.Random | None = None
    ) -> None:
        """`rest`: seconds from release to the next use. ValueError for a range without a pair."""
        first += first & 1
        if not 0 < first < last <= 65535:
            raise ValueError(f"no pair of ports from {first} to {last}")
        self._pairs = _Bag(range(first, last, 2))  # by their even port
        self._halves = _Bag()  # free, while the other of the pair is not
        self._used: set[int] = set()
        self._resting: deque[tuple[float, int]] = deque()
        self._rest = rest
        self._chance = chance or random.SystemRandom()
        self.size = 2 * len(self._pairs)

    @property
    def used(self) -> int:
        """Ports in use."""
        return len(self._used)

    @property
    def resting(self) -> int:
        """Ports that were released and may not be used yet."""
        return len(self._resting)

    def pair(self, now: float) -> int:
        """Take an even port and the odd one after it; the even one. PortsExhausted if there is none."""
        self._wake(now)
        if not self._pairs:
            raise PortsExhausted("no pair of ports is free")
        port = self._pairs.draw(self._chance)
        self._used.update((port, port + 1))
        return port

    def single(self, now: float) -> int:
        """Take one port, for RTP and RTCP together (rtcp-mux). PortsExhausted if there is none."""
        self._wake(now)
        if self._halves:
            port = self._halves.draw(self._chance)
        elif self._pairs:
            port = self._pairs.draw(self._chance)
            self._halves.add(port + 1)
        else:
            raise PortsExhausted("no port is free")
        self._used.add(port)
        return port

    def take(self, port: int, now: float) -> None:
        """Take this very port (a call taken over). PortsExhausted if it is in use, rests or is not ours."""
        self._wake(now)
        if port in self._halves:
            self._halves.remove(port)
        elif port & ~1 in self._pairs:
            self._pairs.remove(port & ~1)
            self._halves.add(port ^ 1)
        else:
            raise PortsExhausted(f"port {port} is not free")
        self._used.add(port)

    def uses(self, port: int) -> bool:
        """Whether a port was taken and not given back."""
        return port in self._used

    def release(self, port: int, now: float) -> None:
        """Give one port back. KeyError if it was not taken."""
        self._used.remove(port)
        self._resting.append((now + self._rest, port))

    def _wake(self, now: float) -> None:
        resting = self._resting
        while resting and resting[0][0] <= now:
            port = resting.popleft()[1]
            if port ^ 1 in self._halves:
                self._halves.remove(port ^ 1)
                self._pairs.add(port & ~1)
            else:
                self._halves.add(port)
