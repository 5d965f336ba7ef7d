"""What an operator can set about messages that wait: section `[messages]`. Durations are seconds."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class MessagesSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[messages]`: MESSAGE requests are kept until each device has them."""

    enabled: Annotated[
        bool, Meta(description="Whether messages that a device did not take are kept at all.")
    ] = True
    accept: Annotated[
        Literal["bindings", "accounts"],
        Meta(
            description="For whom messages are kept: `bindings`, users with a registered device; `accounts`, "
            "also users whose registrations have all ended (404 otherwise)."
        ),
    ] = "accounts"
    account_memory: Annotated[
        float,
        Meta(ge=0, description="Seconds that a user without registrations is remembered for `accounts`."),
    ] = 2_592_000.0
    accept_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=20,
            description="Seconds that a device has to take a message itself; then the sender gets 202.",
        ),
    ] = 5.0
    delivery_timeout: Annotated[
        float, Meta(ge=60, description="Seconds that a message is kept; its own Expires may be shorter.")
    ] = 604_800.0
    max_per_user: Annotated[
        int, Meta(ge=1, le=10_000, description="Messages kept for one user; the sender of more gets 480.")
    ] = 1000
    max_total: Annotated[
        int, Meta(ge=1, description="Messages kept for all users; the sender of more gets 503.")
    ] = 5_000_000
    max_size: Annotated[
        int, Meta(ge=1000, description="Longest request in bytes that is kept; the sender of more gets 513.")
    ] = 65_536
    replicas: Annotated[
        int,
        Meta(
            ge=-1,
            le=16,
            description="Replicas that must hold a message before its 202 (`WAIT`); -1: `[redis] replicas`.",
        ),
    ] = -1
    fsync: Annotated[
        bool,
        Meta(
            description="Whether it must be on the disk of the master before the 202 (`WAITAOF`, Redis 7.2 "
            "or Valkey, with `appendonly yes`)."
        ),
    ] = False
    wake: Annotated[
        Literal["each", "first"],
        Meta(description="Which stored messages push a device: `each`, or the `first` of those that wait."),
    ] = "each"
    claim: Annotated[
        float,
        Meta(
            ge=1,
            le=60,
            description="Seconds after which another node goes on delivering for one that fell silent.",
        ),
    ] = 5.0
    retry: Annotated[
        float,
        Meta(
            ge=1,
            description="Seconds before a registered device that answered 408 or 503 is tried again; doubled "
            "each time, up to an hour. A registration tries at once.",
        ),
    ] = 30.0
