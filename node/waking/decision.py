"""Whether a request rings a phone, wakes it, or both; and why. The one place where that is decided.

no push address, or a push cannot be sent ............ ring, and say what is missing
the request is none that wakes (`event_of`) .......... ring
the phone's connection is known to be gone ........... wake at once; it rings when it has registered
else ................................................. ring, and wake after `after` seconds unless it answers
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cluster.location.binding import Binding
from cluster.push.push import Event
from node.settings import WakingSettings
from node.sip.codec import Message
from node.waking.address import PushAddress, push_address

QUIET_TYPES = (b"application/im-iscomposing+xml", b"message/imdn+xml")
REGISTER_PARAMETERS = (
    "the app has to put pn-provider, pn-param and pn-prid into the Contact that it registers (RFC 8599)"
)


class Decision(msgspec.Struct, frozen=True):
    """What is done about one binding. `why` is a sentence; `remedy` too, "" where nothing is wrong."""

    ring: bool
    wake: bool
    why: str
    remedy: str = ""
    after: float = 0.0  # seconds that the phone has to answer before it is woken
    kind: str = ""
    token: str = ""
    address: PushAddress | None = None


def event_of(message: Message, settings: WakingSettings) -> tuple[Event | None, str]:
    """For a request: the event that a push would tell, and "" or why it wakes nobody."""
    method = message.method
    if message.to_tag:
        return None, "a request within a dialog wakes nobody"
    if (message.first("priority") or b"").strip().lower() == b"non-urgent":
        return None, "Priority non-urgent wakes nobody"
    if method == "INVITE":
        return (None, "an INVITE with Replaces wakes nobody") if message.has("replaces") else ("call", "")
    if method == "MESSAGE":
        return _message(message)
    if method == "NOTIFY":
        if (message.first("event") or b"").lower().startswith(b"message-summary"):
            return ("summary", "") if settings.message_summaries else (None, "message_summaries is off")
        return None, "a NOTIFY wakes for message-summary only"
    if method in ("REFER", "SUBSCRIBE", "INFO"):
        return "summary", ""
    return None, f"{method} wakes nobody"


def _message(message: Message) -> tuple[Event | None, str]:
    content = (message.first("content-type") or b"").partition(b";")[0].strip().lower()
    if content in QUIET_TYPES:
        return None, "composing indications and delivery notices wake nobody"
    if content == b"message/cpim" and message.body.lower().find(b"message/imdn+xml") >= 0:
        return None, "delivery notices wake nobody"
    if (message.first("x-fs-message-type") or b"").strip().lower() == b"chat-service":
        return None, "messages of the chat service wake nobody"
    return "message", ""


def decide(
    binding: Binding,
    gone: bool,
    event: str,
    supports: Callable[[str, str], str] | None,
    settings: WakingSettings,
) -> Decision:
    """`gone`: its connection is known to be closed. `supports(provider, app)` says "" or what is missing;
    None: this node sends no pushes."""
    address = push_address(binding)
    if address is None:
        return Decision(True, False, "no push parameters", REGISTER_PARAMETERS)
    if address.dead:
        return Decision(
            True, False, "the provider refused its push token", "the app has to register with a new token"
        )
    if supports is None:
        return Decision(True, False, "this node sends no pushes", "set [push] enabled = true")
    if not address.provider:
        return Decision(True, False, "no pn-provider beside its push token", REGISTER_PARAMETERS)
    missing = supports(address.provider, address.app)
    if missing:
        return Decision(True, False, f"no pushes to {address.provider} {address.app}", missing)
    kind, token = address.token(event)
    if not kind:
        return Decision(
            True,
            False,
            "its only push token is for calls (VoIP)",
            "the app has to register its remote token as well: pn-prid=token:remote&token:voip",
        )
    if event != "call" and kind == "alert" and binding.push.get("pn-silent", "0") not in ("", "0"):
        kind = "background"
    if gone:
        return Decision(False, True, "its connection is gone", kind=kind, token=token, address=address)
    after = _patience(binding, settings)
    why = f"it has {after:g} s to answer, then it is woken" if after else "it may sleep on an open connection"
    return Decision(True, True, why, after=after, kind=kind, token=token, address=address)


def _patience(binding: Binding, settings: WakingSettings) -> float:
    """Seconds before the push; the Contact's own pn-timeout counts up to 30."""
    own = binding.push.get("pn-timeout", "")
    return float(min(int(own), 30)) if own.isdigit() and len(own) < 6 else settings.timeout
