"""What is wrong inside the files that push services need: keys, certificates and accounts.

Only `clarion config check` asks. A node starts all the same: one app whose certificate has expired is no
reason to serve no calls, and its log and `clarion explain` say what is wrong.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from cluster.push.providers.provider import Warned
from cluster.push.settings import ProviderSettings
from ops.config.load import Loaded
from ops.config.problem import Problem

Check = Callable[[ProviderSettings], Sequence[Warned]]


def credential_problems(loaded: Loaded, check: Check) -> Iterator[Problem]:
    """What `check` finds, each with the line of its option."""
    for warned in check(loaded.settings.providers()):
        named = re.fullmatch(r"\[(.+)\] (\w+)", warned.option)
        place = loaded.origin(named[1], named[2]) if named else "file"
        yield Problem(place, warned.option, warned.text.removeprefix(f"{warned.option}: "))
