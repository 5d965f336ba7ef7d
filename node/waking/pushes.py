"""What this floor needs of the push service (`cluster.push.service.PushService`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from cluster.push.push import Push


class Offered(Protocol):
    """A push service that can be used: the value of pn-provider, and the VAPID key of Web Push."""

    @property
    def provider(self) -> str: ...

    @property
    def vapid(self) -> str: ...


class LastPushed(Protocol):
    """What became of the last push of a device. `at` is ms since 1970."""

    @property
    def at(self) -> int: ...

    @property
    def event(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def provider(self) -> str: ...

    @property
    def outcome(self) -> str: ...

    @property
    def status(self) -> int: ...

    @property
    def reason(self) -> str: ...


class Catalogue(Protocol):
    """Which services are set up."""

    def supports(self, provider: str, app: str) -> str:
        """Empty if pushes for that app can be sent; else why not, with the remedy."""

    def configured(self, provider: str, app: str) -> bool:
        """Whether that app is set up, though its credentials may be broken just now."""

    def offers(self) -> Sequence[Offered]:
        """What is told to phones that ask (RFC 8599 4.1.1)."""


class Pushes(Protocol):
    """Queues pushes; nothing here raises."""

    @property
    def catalogue(self) -> Catalogue: ...

    def send(self, push: Push, done: Callable[[str], None]) -> None:
        """`done("")` once it is queued, else with a sentence; not before this returns."""

    def withdraw(self, push: Push) -> None:
        """Takes it back, if nobody has sent it yet."""

    def schedule(self, member: str, push: Push, due_ms: int) -> None:
        """Sends it later; the same member again replaces it."""

    def unschedule(self, member: str, token: str) -> None:
        """Takes a scheduled one back."""

    async def last(self, aor: str) -> Mapping[str, LastPushed]:
        """By device. Raises StoreUnavailable."""

    def now_ms(self) -> int:
        """The store's clock."""
