"""An access token that an OAuth service gave us, and whether the push service still takes it."""

from __future__ import annotations

from typing import Literal

SHARE = 0.8  # of its life, after which it is renewed
PAUSE = 30.0  # s until a renewal that failed is tried again while the old token lives
REMEMBERED = 4096  # requests under way of which we know the token
Verdict = Literal["renew", "wrong"]


class AccessToken:
    """One for each app. A token that is refused is renewed once; if the new one is refused too before
    anything was accepted, then not the token is wrong but what we got it with."""

    __slots__ = ("_ends", "_renew_at", "_serial", "_suspect", "_text", "_used")

    def __init__(self) -> None:
        self._text = ""
        self._ends = self._renew_at = 0.0
        self._serial = 0
        self._suspect = False  # the token before this one was refused
        self._used: dict[str, int] = {}  # push id -> serial of the token that it was sent with

    def wanted(self, now: float) -> bool:
        """Whether one has to be fetched before anything is sent."""
        return not self._text or now >= self._renew_at

    def take(self, text: str, life: float, now: float) -> None:
        """A new one that lives for `life` seconds."""
        self._text, self._ends, self._renew_at = text, now + life, now + SHARE * life
        self._serial += 1

    def outlives(self, now: float) -> bool:
        """Whether the present one serves a little longer although it could not be renewed."""
        if not self._text or now >= self._ends:
            return False
        self._renew_at = min(now + PAUSE, self._ends)
        return True

    def use(self, push_id: str) -> str:
        """The text, for the request of that push."""
        self._used[push_id] = self._serial
        if len(self._used) > REMEMBERED:
            del self._used[next(iter(self._used))]
        return self._text

    def accepted(self, push_id: str) -> None:
        if self._used.pop(push_id, 0) == self._serial:
            self._suspect = False

    def answered(self, push_id: str) -> None:
        """With something that says nothing about the token."""
        self._used.pop(push_id, None)

    def refused(self, push_id: str) -> Verdict:
        """ "renew": try again with another (this one is forgotten); "wrong": that was done already."""
        if self._used.pop(push_id, 0) != self._serial or not self._text:
            return "renew"  # sent with an older one
        self.forget()
        if self._suspect:
            self._suspect = False
            return "wrong"
        self._suspect = True
        return "renew"

    def forget(self) -> None:
        self._text = ""
