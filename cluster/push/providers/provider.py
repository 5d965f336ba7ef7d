"""What every push service has to say of itself."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from cluster.push.http.message import HttpRequest, HttpResponse
from cluster.push.push import Push

Outcome = Literal["accepted", "dead", "retry", "refused", "credentials", "expired"]


class Answer(msgspec.Struct, frozen=True):
    """What became of one attempt.

    accepted: the provider has it. dead: the token is gone for good. retry: theirs, try again later.
    refused: this push can never be sent. credentials: ours are wrong; no push of this app can be sent until
    somebody mends them. expired: its time was over before it could be sent.
    """

    outcome: Outcome
    status: int = 0  # HTTP
    reason: str = ""  # the provider's word, or ours, in a sentence; with the remedy where it is ours
    retry_after: float = 0.0  # seconds that the provider asked for; 0 if it did not
    dead_since: int = 0  # ms since 1970 that the token is dead, where the provider says so


class Unsendable(Exception):
    """No request can be made of a push; the text says why, and what the operator or the app must do."""


class Warned(msgspec.Struct, frozen=True):
    """Something the operator has to do soon: a key or certificate that ends or cannot be read."""

    option: str  # "[apns.org.example.app] cert"
    text: str


class Provider(Protocol):
    """Pure decisions: `now` is seconds since 1970, and what is to be sent is returned."""

    names: tuple[str, ...]  # values of Push.provider that it serves

    def supports(self, provider: str, app: str) -> str:
        """ "" if pushes for that app can be sent; else why not, with the remedy."""

    def lane(self, push: Push) -> str:
        """The queue that this push shares: provider and app, "apns org.example.app"."""

    def grant(self, push: Push, now: float) -> HttpRequest | None:
        """The request for an access token, if one is needed before `push` can be sent."""

    def granted(self, push: Push, response: HttpResponse, now: float) -> Answer:
        """Takes the answer to `grant`: accepted (the token is kept), retry or credentials."""

    def request(self, push: Push, now: float) -> HttpRequest:
        """The push as a request. Raises Unsendable."""

    def answer(self, push: Push, response: HttpResponse, now: float) -> Answer:
        """What the response to `request` means. A refused access token is forgotten here."""

    def warnings(self, now: float) -> list[Warned]:
        """Keys and certificates that end within 30 days or cannot be read."""

    def reload(self) -> None:
        """Reads keys and certificates again where their files have changed."""
