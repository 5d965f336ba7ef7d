"""Keeps the file of static registrations alive: read at start, again after a while, and on SIGHUP."""

import logging

from cluster.errors import StoreUnavailable
from node.registrar.static import StaticFile
from ops.rounds import Rounds

RETRY = 5.0  # seconds after a reading that failed

log = logging.getLogger("clarion.registrar")


def static_registrations(file: StaticFile, refresh: float) -> Rounds:
    """Reads `[registrar] static_file` every `refresh` seconds; when it stops, the bindings expire by
    themselves."""

    async def load() -> float:
        return refresh if await _loaded(file) else RETRY

    return Rounds(load)


async def _loaded(file: StaticFile) -> bool:
    try:
        count = await file.load()
    except (OSError, UnicodeDecodeError, StoreUnavailable) as error:
        log.error("[registrar] static_file: %s; what was read before stays for a while", error)
        return False
    for problem in file.problems:
        log.error("[registrar] static_file: %s", problem)
    log.info("%d static registrations", count)
    return True
