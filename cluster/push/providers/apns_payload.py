"""What a push says to an Apple app: the fields that apps made for Flexisip read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from cluster.push.providers.provider import Unsendable
from cluster.push.push import Push

LARGEST, LARGEST_VOIP = 4096, 5120  # bytes that Apple takes
SHORT = 64  # characters that a name keeps where the whole does not fit
_encode = msgspec.json.encode


def payload(push: Push, badge: bool) -> bytes:
    """The body of the request. Names are shortened if need be. Raises Unsendable."""
    largest = LARGEST_VOIP if push.kind == "voip" else LARGEST
    body = _encode(_object(push, badge))
    if len(body) > largest:
        body = _encode(_object(shortened(push), badge))
    if len(body) > largest:
        raise Unsendable(
            f"the payload has {len(body)} bytes, Apple takes {largest}: "
            "shorten the pn- parameters of the Contact"
        )
    return body


def shortened(push: Push) -> Push:
    """With less of what is only shown."""
    return msgspec.structs.replace(
        push, from_name=push.from_name[:SHORT], loc_args=tuple(text[:SHORT] for text in push.loc_args)
    )


def send_time(push: Push) -> str:
    """UTC, as Flexisip writes it. That of its creation, so that a repetition is the same push."""
    return datetime.fromtimestamp(push.created_at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def device_id(push: Push) -> str:
    """The instance of the phone, "<urn:uuid:...>"; "" if it gave none."""
    return push.device.partition(";")[0] if push.device.startswith("<") else ""


def arguments(push: Push) -> tuple[str, ...]:
    """For the text of the app's string table: who calls."""
    return push.loc_args or (push.from_name or push.from_uri,)


def life(push: Push) -> int:
    """Seconds from its creation to its end."""
    return max(0, (push.expires_at - push.created_at) // 1000)


def _object(push: Push, badge: bool) -> dict[str, Any]:
    localized = {"loc-key": push.loc_key, "loc-args": arguments(push)}
    call = {"call-id": push.call_id}
    stamp = {"uuid": device_id(push), "send-time": send_time(push)}
    caller = {"from-uri": push.from_uri, "display-name": push.from_name}
    tail = {"pn_ttl": life(push), "push-id": push.id, "customPayload": {}}
    if push.kind == "voip":
        return {"aps": {"sound": "", **localized, **call, **stamp}, **caller, **tail}
    if push.kind != "alert":
        return {
            "aps": {"badge": 0, "content-available": 1, **localized, **call, **stamp},
            **caller,
            **tail,
        }
    aps = {"alert": localized, "sound": _sound(push), "mutable-content": 1, "badge": 1 if badge else 0}
    return {"aps": aps, **caller, **call, **stamp, "chat-room-addr": "", **tail}


def _sound(push: Push) -> str:
    """Apps without a sound of their own got "empty" from Flexisip; what only closes a call is silent."""
    return push.sound or ("empty" if push.event in ("call", "message") else "")
