"""What Apple demands of the headers and the payload of a push."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.standins.exchange import Refused, Reply

PATH = "/3/device/"
LARGEST, LARGEST_VOIP = 4096, 5120
LONGEST_COLLAPSE = 64
TYPES = (
    "alert",
    "background",
    "complication",
    "controls",
    "fileprovider",
    "liveactivity",
    "location",
    "mdm",
    "pushtotalk",
    "voip",
    "widgets",
)
SUFFIXES = {
    "voip": ".voip",
    "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
    "location": ".location-query",
    "liveactivity": ".push-type.liveactivity",
    "pushtotalk": ".voip-ptt",
}
_TOPIC = re.compile(r"[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)+")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def refuse(status: int, reason: str, payload: Any = None, **more: Any) -> Refused:
    """The error that carries Apple's answer."""
    return Refused(Reply.json(status, {"reason": reason, **more}), reason, payload=payload)


def check_topic(headers: dict[str, str], allowed: set[str]) -> str:
    """The topic of a push. `allowed` are those of the provider's team or certificate."""
    topic = headers.get("apns-topic", "")
    if not topic:
        if "authorization" in headers or len(allowed) != 1:
            raise refuse(400, "MissingTopic")
        return next(iter(allowed))
    if not _TOPIC.fullmatch(topic):
        raise refuse(400, "BadTopic")
    if topic not in allowed:
        raise refuse(400, "TopicDisallowed")
    return topic


def check_headers(headers: dict[str, str], topic: str) -> None:
    """All but authorization and the topic itself."""
    kind = headers.get("apns-push-type", "voip" if topic.endswith(".voip") else "alert")
    if kind not in TYPES:
        raise refuse(400, "InvalidPushType")
    if topic.endswith(".voip") and kind != "voip":
        raise refuse(400, "InvalidPushType")  # as pr0ger/pyapns2 issue 87 saw it
    if kind == "voip" and not topic.endswith(".voip"):
        raise refuse(400, "TopicDisallowed")
    priority = headers.get("apns-priority", "10")
    if priority not in ("1", "5", "10") or (kind == "background" and priority == "10"):
        raise refuse(400, "BadPriority")
    if not re.fullmatch(r"[0-9]{1,12}", headers.get("apns-expiration", "0")):
        raise refuse(400, "BadExpirationDate")
    if len(headers.get("apns-collapse-id", "").encode()) > LONGEST_COLLAPSE:
        raise refuse(400, "BadCollapseId")
    if "apns-id" in headers and not _UUID.fullmatch(headers["apns-id"]):
        raise refuse(400, "BadMessageId")


def check_payload(body: bytes, headers: dict[str, str], topic: str) -> Any:
    """The payload, decoded."""
    voip = topic.endswith(".voip")
    if len(body) > (LARGEST_VOIP if voip else LARGEST):
        raise refuse(413, "PayloadTooLarge")
    try:
        payload = json.loads(body)
    except ValueError:
        raise refuse(400, "PayloadEmpty") from None
    if not isinstance(payload, dict) or not isinstance(payload.get("aps"), dict):
        raise refuse(400, "PayloadEmpty", payload)
    aps = payload["aps"]
    if headers.get("apns-push-type") == "background" and (
        aps.get("content-available") != 1 or "alert" in aps
    ):
        raise refuse(400, "InvalidPushType", payload)
    return payload
