"""What a stand-in does wrong on demand, changeable while it runs.

name        values                         what happens to each push that it meets
goaway      read=False                     GOAWAY; last-stream-id is before the push, with `read` the push
refused     code=7                         RST_STREAM with REFUSED_STREAM, or another code
slow        seconds=1.0                    taken at once, answered late
silent      read=False                     no answer at all on its stream
black_hole                                 no connection gets any answer, not even to its TLS hello
reset       read=False                     the TCP connection is reset, before or after the push was taken
status      status=503 reason="" retry_after=""   the vendor's body for that status
dead        token since=now                that token is dead since `since` (ms since 1970)
refuse      token reason                   pushes to that token are refused with that reason of the vendor

All take `times` (0: until `clear`), `where` ("push", or "token" for the OAuth service) and `token` (only
pushes to that one). Over HTTP/1.1 goaway is "Connection: close" and refused is a reset.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

NAMES = ("goaway", "refused", "slow", "silent", "black_hole", "reset", "status", "dead", "refuse")


@dataclass
class Fault:
    name: str
    times: int = 0
    where: str = "push"
    token: str = ""
    values: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


class Faults:
    """Those that are set; at most one of each name, except for `dead` and `refuse`."""

    def __init__(self) -> None:
        self._set: dict[str, Fault] = {}
        self.dead: dict[str, int] = {}
        self.refuse: dict[str, str] = {}
        self.met: dict[str, int] = {}  # how often each struck

    def set(self, name: str, times: int = 0, where: str = "push", token: str = "", **values: Any) -> None:
        """Raises ValueError for a name that there is not."""
        if name not in NAMES:
            raise ValueError(f"no fault {name!r}: {', '.join(NAMES)}")
        if name == "dead":
            self.dead[token] = int(values.get("since", time.time() * 1000))
        elif name == "refuse":
            self.refuse[token] = str(values["reason"])
        else:
            self._set[name] = Fault(name, times, where, token, values)

    def clear(self, name: str = "") -> None:
        """That one, or all."""
        for each in (name,) if name else NAMES:
            self._set.pop(each, None)
        if name in ("", "dead"):
            self.dead.clear()
        if name in ("", "refuse"):
            self.refuse.clear()

    @property
    def black_hole(self) -> bool:
        return "black_hole" in self._set

    def take(self, where: str, token: str) -> Fault | None:
        """The one that strikes this request, which uses it up once."""
        for name, fault in self._set.items():
            if name == "black_hole" or fault.where != where or fault.token not in ("", token):
                continue
            if fault.times:
                fault.times -= 1
                if not fault.times:
                    del self._set[name]
            self.met[name] = self.met.get(name, 0) + 1
            return fault
        return None
