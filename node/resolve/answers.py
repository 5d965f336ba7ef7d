"""What DNS answered, for as long as it holds; answers of "no such thing" too."""

from __future__ import annotations

from typing import Final

from node.resolve.question import Answer, Question

LONGEST: Final = 3600.0  # seconds that an answer is believed at most
SHORTEST: Final = 1.0
STALE: Final = 3600.0  # seconds that it serves beyond that, while DNS is away (RFC 8767)


class Answers:
    """A bounded cache; the oldest entries go first. Times are those of one monotonic clock."""

    __slots__ = ("_known", "_limit")

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._known: dict[Question, tuple[float, Answer]] = {}

    def get(self, question: Question, now: float) -> Answer | None:
        """The answer if it still holds."""
        known = self._known.get(question)
        return known[1] if known is not None and known[0] > now else None

    def stale(self, question: Question, now: float) -> Answer | None:
        """The last answer, though it no longer holds."""
        known = self._known.get(question)
        return known[1] if known is not None and known[0] + STALE > now else None

    def put(self, question: Question, answer: Answer, now: float) -> None:
        """Remember an answer for its time to live."""
        self._known.pop(question, None)
        if len(self._known) >= self._limit:
            for old in list(self._known)[: max(1, self._limit // 10)]:
                del self._known[old]
        self._known[question] = (now + min(max(answer.ttl, SHORTEST), LONGEST), answer)

    def clear(self) -> None:
        """Forget everything."""
        self._known.clear()
