"""What the answers of all push services have in common."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from cluster.push.http.message import HttpResponse
from cluster.push.providers.provider import Answer

LONGEST = 300.0  # s; nobody is asked to wait for longer
SHOWN = 200  # characters of a provider's words


def unanswered(response: HttpResponse) -> Answer:
    """For status 0: the connection failed or the time was over."""
    return Answer("retry", 0, response.error or "no answer")


def try_later(response: HttpResponse, reason: str, now: float, default: float = 0.0) -> Answer:
    """With the Retry-After of the response, else `default` seconds."""
    return Answer("retry", response.status, reason, retry_after(response, now) or default)


def retry_after(response: HttpResponse, now: float) -> float:
    """Seconds of Retry-After, given as such or as a date (RFC 9110 10.2.3); 0 without one."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return 0.0
    try:
        seconds = float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST)


def json_object(body: bytes) -> dict[str, Any]:
    """The body if it is a JSON object, else an empty one: error pages of proxies are HTML."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def words(body: bytes) -> str:
    """The beginning of a body, on one line."""
    return " ".join(body[: 4 * SHOWN].decode("utf-8", "replace").split())[:SHOWN]
