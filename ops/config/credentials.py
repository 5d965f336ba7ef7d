"""What is wrong inside the files that push services need: keys, certificates and accounts.

Only `clarion config check` asks. A node starts all the same: one app whose certificate has expired is no
reason to serve no calls, and its log and `clarion explain` say what is wrong.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import orjson

from cluster.push.providers.provider import Warned
from ops.config.load import Loaded
from ops.config.problem import Problem


class Services(Protocol):
    """Who reads the files: `cluster.push.providers.catalogue.Catalogue`."""

    def warnings(self, now: float) -> Sequence[Warned]: ...
    def supports(self, provider: str, app: str) -> str: ...


class Finding(NamedTuple):
    """Something about one file; `fatal` if nothing can be sent because of it, else there is time left."""

    problem: Problem
    fatal: bool


def credential_findings(loaded: Loaded, services: Services, now: float) -> Iterator[Finding]:
    """What is wrong or will be soon, each with the line of its option. `now` is seconds since 1970."""
    for warned in services.warnings(now):
        named = re.fullmatch(r"\[(.+)\] (\w+)", warned.option)
        place = loaded.origin(named[1], named[2]) if named else "file"
        family, app = _app(named[1]) if named else ("", "")
        problem = Problem(place, warned.option, warned.text.removeprefix(f"{warned.option}: "))
        yield Finding(problem, bool(services.supports(family, app)))


def _app(table: str) -> tuple[str, str]:
    """Family and app of `apns."org.example.app"`."""
    family, _, quoted = table.partition(".")
    return family, str(orjson.loads(quoted)) if quoted else ""
