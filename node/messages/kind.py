"""What a MESSAGE is: whether it may be kept, how urgent it is, how long it lasts, what names it.

Not kept, so that it goes the way of every other request:

    Expires: 0 ................................ now or never (RFC 3428 8)
    a composing indication (RFC 3994), also within CPIM: it is about this moment
    for a conference focus (RFC 4579) ......... the sender has to hear what the conference says

Delivery notices (IMDN, RFC 5438) are kept, and wake nobody.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from cluster.messages.pending import RANKS, Pending
from node.messages.stored import stored_form
from node.waking.decision import event_of

if TYPE_CHECKING:
    from cluster.messages.settings import MessagesSettings
    from node.fork.target import Target
    from node.request import Request
    from node.settings import WakingSettings
    from node.sip.codec import Message

COMPOSING = b"application/im-iscomposing+xml"
CPIM = b"message/cpim"
NORMAL = RANKS.index("normal")


def storable(message: Message) -> bool:
    """Whether a MESSAGE may be kept, as far as it says itself."""
    if message.to_tag:
        return False
    content = message.first("content-type")
    if content is not None and not content.startswith(b"text/"):  # nearly every message is text
        content = content.lower()
        if content.startswith(COMPOSING):
            return False
        if content.startswith(CPIM) and message.body.lower().find(COMPOSING) >= 0:
            return False
    expires = message.first("expires")
    return expires is None or _seconds(expires) != 0


def for_focus(groups: list[list[Target]]) -> bool:
    """Whether a target is a conference (RFC 4579 5.1)."""
    for group in groups:
        for target in group:
            binding = target.binding
            if binding is not None and binding.params and "isfocus" in binding.params.lower():
                return True
    return False


def identity(message: Message, aor: str, device: str = "") -> str:
    """What names a message: the same for each copy of one request, and nothing else's. `device` is what a
    GRUU names. URL-safe, 22 characters."""
    parts = (message.call_id, b"%d" % message.cseq, message.from_tag, aor.encode(), device.encode())
    return base64.urlsafe_b64encode(hashlib.blake2b(b"\n".join(parts), digest_size=16).digest())[:22].decode()


def rank(message: Message) -> int:
    """Index into RANKS: "normal" for a Priority that nobody knows."""
    value = message.first("priority")
    if value is None:
        return NORMAL
    word = value.strip().lower().decode("latin-1")
    return RANKS.index(word) if word in RANKS else NORMAL


def lifetime(message: Message, longest: float) -> float:
    """Seconds that it is kept: its Expires, `longest` at most."""
    expires = message.first("expires")
    seconds = _seconds(expires) if expires is not None else None
    return longest if seconds is None else min(float(seconds), longest)


def pending(
    request: Request, device: str, now_ms: int, messages: MessagesSettings, waking: WakingSettings
) -> Pending:
    """What is kept of a request; `device` as in `identity`. `now_ms` is on the store's clock."""
    message = request.message
    event, _ = event_of(message, waking)
    return Pending(
        id=identity(message, request.aor, device),
        aor=request.aor,
        rank=rank(message),
        stored_at=now_ms,
        expires_at=now_ms + int(1000 * lifetime(message, messages.delivery_timeout)),
        request=stored_form(message, now_ms),
        call_id=message.call_id.decode("utf-8", "replace"),
        sender=message.from_uri.decode("utf-8", "replace"),
        kind="message" if event is not None else "",
    )


def _seconds(value: bytes) -> int | None:
    """Delta-seconds; None for what is none, which counts as not there."""
    value = value.strip()
    return int(value) if value.isdigit() and len(value) <= 10 else None
