"""What the answer of an OAuth service means (RFC 6749 5)."""

from __future__ import annotations

from cluster.push.credentials.access_token import AccessToken
from cluster.push.http.message import HttpResponse
from cluster.push.providers.provider import Answer
from cluster.push.providers.reply import json_object, try_later, unanswered, words

LIFE = 3600.0  # s, where the service does not say


def grant_answer(token: AccessToken, response: HttpResponse, now: float, remedy: str) -> Answer:
    """Keeps the access token. While the one before still lives, a failure to renew it stops nothing."""
    told = json_object(response.body)
    if response.status == 200:
        text, life = told.get("access_token"), told.get("expires_in", LIFE)
        if isinstance(text, str) and text and text.isprintable():
            token.take(text, _seconds(life), now)
            return Answer("accepted", 200)
    if token.outlives(now):
        return Answer("accepted", response.status)
    if not response.status:
        return unanswered(response)
    reason = f"{told.get('error', '')} {told.get('error_description', '')}".strip() or words(response.body)
    if response.status == 429 or response.status >= 500 or response.status == 200:
        return try_later(response, f"no access token: {reason}", now)
    return Answer("credentials", response.status, f"no access token: {reason}: {remedy}")


def _seconds(life: object) -> float:
    """Microsoft has written it as a string."""
    try:
        seconds = float(life)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return LIFE
    return seconds if 0 < seconds < 10 * 86_400 else LIFE
