"""Which events an operator reads as log lines, and in which words: stores, members, push services, stored
messages."""

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable

from cluster.collect.events import CollectorElected, CollectorResigned, SweepFailed
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
from cluster.messages.events import (
    FsyncUnavailable,
    MessageDelivered,
    MessageExpired,
    MessageNotKept,
    MessageRefused,
    MessageStored,
)
from cluster.messages.pending import ANYBODY
from cluster.push.events import (
    CredentialsExpire,
    CredentialsRefused,
    DispatcherElected,
    DispatcherResigned,
    LaneBlocked,
    LaneFree,
    PushAddressDead,
    PushFailed,
    PushSent,
)
from ops.device import device_shown
from ops.events import MessagesDropped

QUIET = 60.0  # s between two log lines about the same kind of failure
MOST = 1000  # kinds of failures remembered

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
    CredentialsRefused: (
        logging.ERROR,
        "push %(lane)s: the service refuses our credentials: %(reason)s; no push of this app goes out until "
        "they are mended. Try new ones with: clarion push send; SIGHUP reads changed files again",
    ),
    CredentialsExpire: (logging.WARNING, "%(option)s: %(text)s"),
    LaneBlocked: (
        logging.ERROR,
        "push %(lane)s: the service does not answer (%(reason)s); %(waiting)s pushes wait and one at a time "
        "is tried; pushes of other apps go on",
    ),
    LaneFree: (logging.WARNING, "push %(lane)s: the service answers again"),
    PushAddressDead: (
        logging.INFO,
        "%(aor)s, device %(device)s: %(provider)s says that its push address is dead (%(reason)s); "
        "taken out of the binding: %(removed)s",
    ),
    PushFailed: (
        logging.WARNING,
        "push %(lane)s: a push for %(aor)s (%(event)s) was given up, %(outcome)s: %(status)s %(reason)s; "
        "more: clarion explain push %(aor)s",
    ),
    PushSent: (logging.DEBUG, "push %(lane)s: accepted for %(aor)s (%(event)s) after %(waited)s s"),
    DispatcherElected: (logging.INFO, "this node dispatches pushes of partitions %(partitions)s"),
    DispatcherResigned: (
        logging.INFO,
        "this node no longer dispatches pushes of partitions %(partitions)s: %(reason)s",
    ),
    MessageStored: (logging.DEBUG, "a message of %(sender)s for %(aor)s is stored for %(devices)s"),
    MessageDelivered: (
        logging.DEBUG,
        "a stored message for %(aor)s was taken by device %(device)s after %(waited)s s",
    ),
    MessageRefused: (
        logging.INFO,
        "a stored message for %(aor)s was refused by device %(device)s with %(status)s; that is final",
    ),
    MessageExpired: (
        logging.INFO,
        "a message of %(sender)s for %(aor)s expired after %(waited)s s; %(devices)s did not get it "
        "([messages] delivery_timeout, or its own Expires)",
    ),
    MessageNotKept: (
        logging.WARNING,
        "a message of %(sender)s for %(aor)s could not be kept for %(devices)s: %(reason)s",
    ),
    FsyncUnavailable: (
        logging.ERROR,
        "[messages] fsync: %(address)s cannot confirm it (%(reason)s); no message is accepted until it can. "
        "Use Redis 7.2 or Valkey with appendonly yes, or set fsync = false",
    ),
    CollectorElected: (logging.INFO, "this node collects what has expired (fence %(fence)s)"),
    CollectorResigned: (logging.INFO, "this node no longer collects what has expired: %(reason)s"),
    SweepFailed: (
        logging.WARNING,
        "what has expired cannot be collected: %(reason)s; tried again in a few seconds, until then expiries "
        "are told late",
    ),
    MessagesDropped: (logging.WARNING, "%(count)s stored messages for %(aor)s were dropped by an operator"),
}

_last: OrderedDict[tuple[str, str, str], float] = OrderedDict()


def notice(event: object) -> None:
    """Writes the log line of an event that has one."""
    entry = NOTICES.get(type(event))
    if entry is None:
        return
    level, text = entry
    if (kind := _kind(event)) is not None and not _news(kind):
        level = logging.DEBUG
    if log.isEnabledFor(level):
        fields = {name: getattr(event, name) for name in event.__struct_fields__}  # type: ignore[attr-defined]
        log.log(level, text, fields | _in_words(fields))


def _in_words(fields: dict[str, object]) -> dict[str, object]:
    """Fields that a reader wants otherwise than they are kept."""
    words: dict[str, object] = {}
    if isinstance(device := fields.get("device"), str):
        words["device"] = device_shown(device)
    if isinstance(devices := fields.get("devices"), tuple):
        words["devices"] = ", ".join(map(_device, devices)) or "no device"
    if isinstance(partitions := fields.get("partitions"), tuple):
        words["partitions"] = ranges(partitions)
    if isinstance(removed := fields.get("removed"), bool):
        words["removed"] = "yes" if removed else "no, the phone has registered it again since"
    if (reason := fields.get("reason")) in NOT_KEPT:
        words["reason"] = NOT_KEPT[str(reason)]
    if isinstance(waited := fields.get("waited"), float):
        words["waited"] = f"{waited:.3f}"
    return words


# why a message was not kept, as `node.messages` names it -> the same with a remedy
NOT_KEPT = {
    "max_per_user": "as many as [messages] max_per_user wait already; raise it, or drop some: "
    "clarion messages drop",
    "max_total": "as many as [messages] max_total wait for all users; raise it, and the memory of Redis",
    "max_size": "it is longer than [messages] max_size",
    "redis": "[redis] url: the store did not confirm it in time; the sender was told to try again",
}


def _device(device: str) -> str:
    return "whoever registers first" if device == ANYBODY else f"device {device_shown(device)}"


def _kind(event: object) -> tuple[str, str, str] | None:
    """What failures have in common that are told once in a while; None: each is told. One that has an event
    of its own is never news."""
    if isinstance(event, PushFailed):
        return event.lane, event.outcome, event.reason[:80]
    if isinstance(event, MessageNotKept):
        return "message", "", event.reason[:80]
    return None


def _news(kind: tuple[str, str, str]) -> bool:
    """Whether a failure is news: each kind once in a while."""
    if kind[1] in ("dead", "credentials"):
        return False
    now = time.monotonic()
    if now - _last.get(kind, -QUIET) < QUIET:
        return False
    _last[kind] = now
    _last.move_to_end(kind)
    if len(_last) > MOST:
        _last.popitem(last=False)
    return True


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as people write them: `0-3, 7`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "none"
