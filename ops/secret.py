"""The key that all nodes sign flow tokens with: shared through Redis, remembered in the data folder.

Without the memory a node could not start while Redis is away, although calls to phones at other nodes need
nothing else from it.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Protocol

from cluster.errors import StoreUnavailable

NAME = "flow-tokens"
RETRY = 1.0  # s

log = logging.getLogger("clarion.start")


class Shares(Protocol):
    """Who keeps what all nodes share."""

    async def shared_secret(self, name: str) -> bytes: ...


async def flow_token_key(store: Shares, folder: Path) -> bytes:
    """The key from the store, else the remembered one, else waits for the store."""
    memory = folder / "flow-tokens.key"
    said = False
    while True:
        try:
            key = await store.shared_secret(NAME)
        except StoreUnavailable as error:
            if memory.is_file():
                log.warning("[redis] url: %s; starting with the remembered key for flow tokens", error)
                return memory.read_bytes()
            if not said:
                log.error("[redis] url: %s; waiting for it, since the first start of a node needs it", error)
                said = True
            await asyncio.sleep(RETRY)
        else:
            _remember(memory, key)
            return key


def _remember(memory: Path, key: bytes) -> None:
    fresh = memory.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key)
    fresh.replace(memory)
