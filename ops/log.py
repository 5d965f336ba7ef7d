"""Log lines to standard error: with a time on a terminal, with a priority for the journal."""

import logging
import os
import sys
from collections.abc import Mapping

PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


class _Journal(logging.Formatter):
    """`<4>text`: the journal keeps the time itself and reads the priority (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).replace("\n", "\n  ")
        return f"<{PRIORITIES.get(record.levelno, 6)}>{text}"


def start_log(level: str, environment: Mapping[str, str] | None = None) -> None:
    """Directs all loggers to standard error from `level` on; replaces what was set up before."""
    environment = os.environ if environment is None else environment
    output = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in environment:
        output.setFormatter(_Journal("%(name)s: %(message)s"))
    else:
        output.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[output], force=True)
    logging.captureWarnings(True)
    # one line per admin request is of no use to anybody
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
