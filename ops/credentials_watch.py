"""Looks once a day, and after a reload, whether keys and certificates of push services end soon."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from cluster.push.events import CredentialsExpire
from cluster.push.providers.provider import Warned
from ops.rounds import Rounds

DAY = 86_400.0


class Credentials(Protocol):
    """Whose files are looked at."""

    def warnings(self, now: float) -> Sequence[Warned]: ...


def credentials_watch(credentials: Credentials, emit: Callable[[CredentialsExpire], None]) -> Rounds:
    """Tells each warning as an event: at start, daily, and when asked to look again."""

    async def look() -> float:
        for warned in credentials.warnings(time.time()):
            emit(CredentialsExpire(warned.option, warned.text))
        return DAY

    return Rounds(look)
