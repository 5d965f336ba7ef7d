"""Which events an operator reads as log lines, and in which words: the state of stores and members."""

import logging

from cluster.events import (
    CoordinatorBack,
    CoordinatorLost,
    MemberJoined,
    MemberLost,
    MembershipLapsed,
    NameLost,
    StoreBack,
    StoreLost,
    TrackingUnavailable,
)

log = logging.getLogger("clarion.cluster")

NOTICES: dict[type, tuple[int, str]] = {
    StoreLost: (logging.ERROR, "[redis] %(address)s is lost: %(reason)s; REGISTER gets 503 until it is back"),
    StoreBack: (logging.WARNING, "[redis] %(address)s is back"),
    TrackingUnavailable: (
        logging.WARNING,
        "[redis] %(address)s has no CLIENT TRACKING (%(reason)s): each lookup is a read; Redis 6 has it",
    ),
    CoordinatorLost: (
        logging.ERROR,
        "[etcd] endpoints: %(reason)s; calls go on with the members known so far",
    ),
    CoordinatorBack: (logging.WARNING, "[etcd] %(endpoint)s answers again"),
    MemberJoined: (logging.INFO, "node %(name)s joined (epoch %(epoch)s)"),
    MemberLost: (logging.WARNING, "node %(name)s left or died (epoch %(epoch)s)"),
    MembershipLapsed: (
        logging.ERROR,
        "[etcd] lease_ttl: the lease of %(name)s may have run out; joining again",
    ),
    NameLost: (logging.ERROR, "[node] name: %(reason)s"),
}


def notice(event: object) -> None:
    """Writes the log line of an event that has one."""
    entry = NOTICES.get(type(event))
    if entry is not None:
        level, text = entry
        fields = {name: getattr(event, name) for name in event.__struct_fields__}  # type: ignore[attr-defined]
        log.log(level, text, fields)
