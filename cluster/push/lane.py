"""The pushes of one provider and app: which is sent next, and what becomes of it. Pure: `now` is passed in.

    admit ─► waiting ─► take ─► under way ─► settle ─► finished
                ▲                              │
                └────────── later ◄────────────┘ retry, with a pause

A lane holds at most `size` pushes and has `concurrency` under way. It stops for three reasons, each with an
end: the breaker is open (a probe at a time), the credentials are refused (a trial after a minute), and while
an access token is being fetched or could not be. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable

from cluster.events import Event
from cluster.push.breaker import Breaker, pause
from cluster.push.events import CredentialsRefused, LaneBlocked, LaneFree
from cluster.push.providers.provider import Answer, Provider
from cluster.push.push import Push

FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0  # s until a push is tried again, doubling
GRANT_PAUSE = 1.0  # s until an access token is asked for again, doubling up to LAST_PAUSE
TRIAL = 60.0  # s after which refused credentials are tried again
TELL_AGAIN = 300.0  # s between two CredentialsRefused
SWEEP = 1.0  # s between two looks for pushes whose time is over
_NEVER = float("inf")

Done = Callable[[Push, Answer, int], None]
StillWanted = Callable[[Push], Awaitable[bool]]


class Entry:
    """One push in its lane."""

    __slots__ = (
        "attempts", "done", "expires", "grants", "last", "not_before", "probe", "provider", "push",
        "still_wanted", "trial",
    )  # fmt: skip

    def __init__(
        self,
        push: Push,
        provider: Provider,
        done: Done,
        expires: float,
        still_wanted: StillWanted | None = None,
    ) -> None:
        self.push = push
        self.provider = provider
        self.done = done
        self.still_wanted = still_wanted
        self.expires = expires
        self.attempts = 0  # requests that were made of it
        self.grants = 0  # access tokens fetched in its name since its last attempt
        self.not_before = 0.0  # Retry-After
        self.last: Answer | None = None  # to the attempt before
        self.probe = False  # the breaker waits for its outcome
        self.trial = False  # so do the others, while credentials are refused


class Lane:
    """Drain `finished` and `events` after each call; call `take` until it has nothing; come back at `due`."""

    def __init__(
        self,
        name: str,
        size: int,
        concurrency: int,
        now: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.size = size
        self.concurrency = concurrency
        self.used_at = now
        self.under_way = 0
        self.granting = False  # an access token is being fetched, for all
        self.sent = self.failed = 0
        self.finished: deque[tuple[Entry, Answer]] = deque()
        self.events: list[Event] = []
        self._chance = chance
        self._waiting: deque[Entry] = deque()
        self._later: list[tuple[float, int, Entry]] = []
        self._order = itertools.count()
        self._breaker = Breaker()
        self._grant_failures = 0
        self._not_before = float("-inf")  # no token before
        self._refusal: Answer | None = None  # of our credentials
        self._trial_at = float("-inf")
        self._trying = False
        self._told_at = float("-inf")
        self._swept_at = now

    @property
    def waiting(self) -> int:
        return len(self._waiting) + len(self._later)

    @property
    def full(self) -> bool:
        return self.waiting + self.under_way >= self.size

    @property
    def idle(self) -> bool:
        return not (self.under_way or self._waiting or self._later or self.finished)

    @property
    def blocked(self) -> str:
        """Why nothing but probes is sent now; "" if it is."""
        return self._refusal.reason or "credentials refused" if self._refusal else self._breaker.reason

    # -- what is sent

    def admit(self, entry: Entry, now: float) -> None:
        """One more, if not `full`. While our credentials are refused it ends at once."""
        self.used_at = now
        if self._refusal is not None and now < self._trial_at:
            self._finish(entry, self._refusal)
        else:
            self._waiting.append(entry)

    def take(self, now: float) -> Entry | None:
        """The next to be sent; it is under way until settled, dropped or given back."""
        while self._may_begin(now):
            entry = self._pick(now)
            if entry is None:
                return None
            if entry.expires <= now:
                self._expire(entry)
                continue
            self.under_way += 1
            entry.probe = self._breaker.begin()
            entry.trial = self._trying = self._refusal is not None
            return entry
        return None

    def due(self, now: float) -> float:
        """When to call `expire` and `take` again if nothing else happens before; infinity for never."""
        if not self.waiting:
            return _NEVER
        sweep = max(now, self._swept_at) + SWEEP
        if self.granting or self._trying or self.under_way >= self.concurrency:
            return sweep
        start = max(self._not_before, self._breaker.opens_at())
        if self._refusal is not None:
            start = max(start, self._trial_at)
        if not self._waiting:
            at, _, entry = self._later[0]
            start = max(start, entry.not_before if self._breaker.open else at)
        return min(sweep, start)

    def expire(self, now: float) -> None:
        """Ends what waits and whose time is over; looks once a second."""
        if now - self._swept_at < SWEEP:
            return
        self._swept_at = now
        over = [entry for entry in self._waiting if entry.expires <= now]
        if over:
            self._waiting = deque(entry for entry in self._waiting if entry.expires > now)
        late = [item[2] for item in self._later if item[2].expires <= now]
        if late:
            self._later = [item for item in self._later if item[2].expires > now]
            heapq.heapify(self._later)
        for entry in over + late:
            self._expire(entry)

    def retry_credentials(self) -> None:
        """Somebody mended them, perhaps: the next push is the trial."""
        self._trial_at = float("-inf")
        self._not_before = float("-inf")

    # -- what became of it

    def settle(self, entry: Entry, answer: Answer, answered: bool, now: float) -> None:
        """The outcome of an attempt; `answered` is false for no answer and for 5xx."""
        self.used_at = now
        self._judge_provider(entry, answer, answered, now)
        self._judge_credentials(entry, answer, now)
        self.under_way -= 1
        entry.probe = entry.trial = False
        if answer.outcome == "retry":
            self._try_later(entry, answer, now)
        else:
            self._finish(entry, answer)

    def drop(self, entry: Entry, answer: Answer) -> None:
        """It ended without an attempt: withdrawn, or there is no request for it."""
        self._release(entry)
        self._finish(entry, answer)

    def give_back(self, entry: Entry) -> None:
        """It cannot be sent at this moment and is the next one again."""
        self._release(entry)
        self._waiting.appendleft(entry)

    def granted(self) -> None:
        """There is an access token."""
        self.granting = False
        self._grant_failures = 0

    def grant_failed(self, entry: Entry, answer: Answer, answered: bool, now: float) -> None:
        """There is none, and who asked for it waits with the others."""
        self.granting = False
        self._grant_failures += 1
        wait = pause(self._grant_failures, GRANT_PAUSE, LAST_PAUSE, self._chance())
        self._not_before = now + max(wait, answer.retry_after)
        entry.last = answer
        self._judge_provider(entry, answer, answered, now)
        self.give_back(entry)

    def _may_begin(self, now: float) -> bool:
        if self.granting or self.under_way >= self.concurrency or now < self._not_before:
            return False
        if self._refusal is not None and (self._trying or now < self._trial_at):
            return False
        return self._breaker.passes(now)

    def _pick(self, now: float) -> Entry | None:
        is_open = self._breaker.open
        if self._later and self._later[0][0] <= now and not (is_open and self._waiting):
            return heapq.heappop(self._later)[2]
        if self._waiting:
            return self._waiting.popleft()
        if is_open and self._later and self._later[0][2].not_before <= now:
            return heapq.heappop(self._later)[2]  # the breaker sets the pace
        return None

    def _judge_provider(self, entry: Entry, answer: Answer, answered: bool, now: float) -> None:
        if not answered:
            reason = answer.reason or f"status {answer.status}"
            at_least = min(answer.retry_after, LAST_PAUSE)
            if self._breaker.unanswered(now, entry.probe, reason, self._chance(), at_least):
                self.events.append(LaneBlocked(self.name, reason, self.waiting + self.under_way))
        elif self._breaker.answered(entry.probe):
            self.events.append(LaneFree(self.name))
            self._bring_forward(now)

    def _judge_credentials(self, entry: Entry, answer: Answer, now: float) -> None:
        if entry.trial:
            self._trying = False
        if answer.outcome != "credentials":
            if answer.outcome == "accepted" or (entry.trial and answer.outcome != "retry"):
                self._refusal = None
            return
        if self._refusal is not None and not entry.trial:
            return  # it was under way when the others were refused
        self._refusal = answer
        self._trial_at = now + TRIAL
        if now - self._told_at >= TELL_AGAIN:
            self._told_at = now
            self.events.append(CredentialsRefused(self.name, answer.reason))
        refused = [*self._waiting, *(item[2] for item in self._later)]
        self._waiting.clear()
        self._later.clear()
        for other in refused:
            self._finish(other, answer)

    def _bring_forward(self, now: float) -> None:
        """The provider is back: who waited for that waits no longer."""
        ready = sorted(item for item in self._later if item[2].not_before <= now)
        self._later = [item for item in self._later if item[2].not_before > now]
        heapq.heapify(self._later)
        self._waiting.extendleft(entry for _, _, entry in reversed(ready))

    def _try_later(self, entry: Entry, answer: Answer, now: float) -> None:
        wait = pause(entry.attempts, FIRST_PAUSE, LAST_PAUSE, self._chance())
        if answer.status in (401, 403) and entry.attempts == 1:
            wait = 0.0  # the access token was refused; it is fetched again
        entry.last = answer
        entry.grants = 0
        entry.not_before = now + answer.retry_after if answer.retry_after else 0.0
        at = max(now + wait, entry.not_before)
        if at >= entry.expires:
            self._expire(entry)
        else:
            heapq.heappush(self._later, (at, next(self._order), entry))

    def _release(self, entry: Entry) -> None:
        self.under_way -= 1
        self._breaker.abandoned(entry.probe)
        if entry.trial:
            self._trying = False
        entry.probe = entry.trial = False

    def _expire(self, entry: Entry) -> None:
        last = entry.last
        reason = last.reason if last and last.reason else "its time was over before it could be sent"
        self._finish(entry, Answer("expired", last.status if last else 0, reason))

    def _finish(self, entry: Entry, answer: Answer) -> None:
        if answer.outcome == "accepted":
            self.sent += 1
        else:
            self.failed += 1
        self.finished.append((entry, answer))
