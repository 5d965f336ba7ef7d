"""What a request waits for: the stage `wake` says it, the forwarding stage holds it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cluster.location.binding import Binding
from cluster.push.push import Event


class Wait(msgspec.Struct, frozen=True):
    """For phones of `aor`; `only(binding)` says for which. `event` is what a push tells them."""

    aor: str
    event: Event
    only: Callable[[Binding], bool]
    patience: float = 0.0  # least seconds that a phone whose connection is open has to answer
