"""The stored form of a pending message: the value of the field `<id>` of the hash of its address of record.

    version LF rank LF stored LF expires LF kind LF sender LF call_id LF request

The seven head lines never change. `version` is the least version that a reader must know: a message with a
greater one is skipped when read, and left in place.
"""

from __future__ import annotations

from cluster.location.binding import line
from cluster.messages.pending import Expired, Pending

VERSION = 1


def encode(pending: Pending) -> bytes:
    """The stored form; id and address of record are where it is kept, and not in it."""
    head = (
        f"{VERSION}\n{pending.rank}\n{pending.stored_at}\n{pending.expires_at}\n{line(pending.kind)}\n"
        f"{line(pending.sender)}\n{line(pending.call_id)}\n"
    )
    return head.encode(errors="surrogateescape") + pending.request


def decode(aor: str, identity: str, stored: bytes) -> Pending | None:
    """None where it is of a later version, or nothing of ours."""
    try:
        version, rank, stored_at, expires_at, kind, sender, call_id, request = stored.split(b"\n", 7)
        if int(version) > VERSION:
            return None
        return Pending(
            identity,
            aor,
            int(rank),
            int(stored_at),
            int(expires_at),
            request,
            _text(call_id),
            _text(sender),
            _text(kind),
        )
    except ValueError:
        return None


def expired(aor: str, identity: str, head: bytes, devices: tuple[str, ...]) -> Expired:
    """What is told of a message that left; of one whose head nobody can read, not more than its id."""
    lines = head.split(b"\n")
    if len(lines) != 8 or not lines[2].isdigit():
        return Expired(identity, aor, "", "", devices, 0)
    return Expired(identity, aor, _text(lines[5]), _text(lines[6]), devices, int(lines[2]))


def _text(word: bytes) -> str:
    return word.decode(errors="surrogateescape")
