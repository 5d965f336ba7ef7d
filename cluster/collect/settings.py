"""What an operator can set about storage garbage collection: section `[storage]`. Durations are seconds."""

from typing import Annotated

import msgspec
from msgspec import Meta


class StorageSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[storage]`: an elected node removes what has expired."""

    collect: Annotated[bool, Meta(description="Whether this node stands for election as collector.")] = True
    sweep: Annotated[
        float,
        Meta(ge=1, description="Seconds between two walks through all keys: how late an expiry is told."),
    ] = 120.0
    step: Annotated[int, Meta(ge=10, le=1000, description="Keys that are looked at between two pauses.")] = (
        100
    )
    lease_ttl: Annotated[
        int,
        Meta(ge=1, le=60, description="Seconds after which another node collects for one that fell silent."),
    ] = 5
