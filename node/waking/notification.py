"""What a push says, from the request that it tells of."""

from __future__ import annotations

import hashlib
import uuid
from urllib.parse import unquote

from cluster.location.binding import Binding
from cluster.push.push import Event, Kind, Push
from node.settings import WakingSettings
from node.sip.address import parse_address
from node.sip.codec import Message
from node.sip.errors import ParseError
from node.waking.decision import Decision

LONGEST = 256  # characters of a name or URI in a push
TEXT = 2000  # bytes of a message that a webhook is told
# event -> (Contact parameter that names the text, the text without it)
TEXTS = {
    "call": ("pn-call-str", "IC_MSG"),
    "message": ("pn-msg-str", "IM_MSG"),
    "summary": ("pn-mwi-str", "MWI_MSG"),
    "refresh": ("", ""),
    "missed": ("pn-missing-call-str", "MC_MSG"),
    "accepted": ("pn-call-accepted-elsewhere-str", "CAE_MSG"),
    "declined": ("pn-call-declined-elsewhere-str", "CDE_MSG"),
}
SOUNDS = {"call": "pn-call-snd", "message": "pn-msg-snd"}


def push_of(
    message: Message,
    aor: str,
    binding: Binding,
    decision: Decision,
    event: Event,
    now_ms: int,
    ttl: float,
    settings: WakingSettings,
) -> Push:
    """The push that tells a binding of a request; `ttl` seconds long. All of one request and phone have the
    same `collapse`, and each an identity of its own."""
    address = decision.address
    assert address is not None, "decided to wake a binding without a push address"
    parameter, text = TEXTS[event]
    name, tag = caller(message)
    uri = message.from_uri.decode("utf-8", "replace")[:LONGEST]
    call_id = message.call_id.decode("utf-8", "replace")[:LONGEST]
    kind: Kind = decision.kind  # type: ignore[assignment]
    return Push(
        id=str(uuid.uuid4()),
        provider=address.provider,
        app=address.app,
        token=decision.token,
        kind=kind,
        event=event,
        created_at=now_ms,
        expires_at=now_ms + int(1000 * ttl),
        aor=aor,
        device=binding.key,
        registered_at=binding.registered_at,
        call_id=call_id,
        from_uri=uri,
        from_name=name,
        from_tag=tag,
        to_uri=message.to_uri.decode("utf-8", "replace")[:LONGEST],
        loc_key=unquote(binding.push.get(parameter) or text),
        loc_args=(uri if settings.display_from_uri or not name else name,),
        sound=unquote(binding.push.get(SOUNDS.get(event, ""), "")),
        collapse=hashlib.sha256(message.call_id).hexdigest()[:32] if event != "message" else "",
        parameters=binding.push,
        body=message.body[:TEXT].decode("utf-8", "replace") if event == "message" else "",
    )


def caller(message: Message) -> tuple[str, str]:
    """Display name and tag of From."""
    try:
        address = parse_address(message.first("from") or b"")
    except ParseError:
        return "", ""
    return _clean(address.display), _clean(address.params.get("tag") or "")


def _clean(text: str) -> str:
    """Octets that are not UTF-8 came as surrogates; JSON cannot hold those."""
    return text.encode(errors="surrogateescape").decode("utf-8", "replace").strip()[:LONGEST]
