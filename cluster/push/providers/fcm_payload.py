"""What a push says to an Android app: the strings that apps made for Flexisip read."""

from __future__ import annotations

import msgspec

from cluster.push.providers.apns_payload import arguments, device_id, send_time, shortened
from cluster.push.providers.provider import Unsendable
from cluster.push.push import Push

LARGEST = 4096  # bytes of keys and values that Google takes
LONGEST_LIFE = 28 * 86_400  # s


def fields(push: Push) -> dict[str, str]:
    """Strings only (FCM takes nothing else). Names are shortened if need be. Raises Unsendable."""
    told = _fields(push)
    if _size(told) > LARGEST:
        told = _fields(shortened(push))
    if _size(told) > LARGEST:
        raise Unsendable(
            f"the payload has {_size(told)} bytes, the service takes {LARGEST}: "
            "shorten the pn- parameters of the Contact"
        )
    return told


def payload(push: Push, token: str, now: float) -> bytes:
    """The body of the request, which lives as long as the push has left. Raises Unsendable."""
    life = min(push.seconds_left(int(now * 1000)), LONGEST_LIFE)
    android = {"priority": "high", "ttl": f"{life}s", "data": fields(push)}
    return msgspec.json.encode({"message": {"token": token, "android": android}})


def _fields(push: Push) -> dict[str, str]:
    texts = arguments(push)
    return {
        "uuid": device_id(push),
        "from-uri": push.from_uri,
        "display-name": push.from_name,
        "call-id": push.call_id,
        "sip-from": push.from_name or push.from_uri,
        "loc-key": push.loc_key,
        "loc-args": texts[0] if len(texts) == 1 else msgspec.json.encode(texts).decode(),
        "send-time": send_time(push),
        "custom-payload": "{}",
        "event": push.event,
        "push-id": push.id,
    }


def _size(told: dict[str, str]) -> int:
    return sum(len(name) + len(value.encode()) for name, value in told.items())
