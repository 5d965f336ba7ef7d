"""What Google demands of a message, and how it words its errors (google.rpc.Status in JSON)."""

from __future__ import annotations

import re
from typing import Any

from tests.standins.exchange import Refused, Reply

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
LARGEST = 4096  # bytes of data
LONGEST_LIFE = 28 * 86_400  # s
# errorCode of FcmError: HTTP status, google.rpc code, message
CODES: dict[str, tuple[int, str, str]] = {
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Message sends'."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
    "INVALID_ARGUMENT": (
        400,
        "INVALID_ARGUMENT",
        "The registration token is not a valid FCM registration token",
    ),
}
_TOKEN = re.compile(r"[0-9A-Za-z_:.\-]{10,4096}")
_TTL = re.compile(r"([0-9]+)(\.[0-9]{1,9})?s")
_RESERVED = ("from", "message_type", "gcm")
_REQUEST = {"message", "validate_only", "validateOnly"}
_MESSAGE = {"name", "data", "notification", "android", "webpush", "apns", "fcm_options", "fcmOptions"}
_MESSAGE |= {"token", "topic", "condition"}
_ANDROID = {"collapse_key", "priority", "ttl", "restricted_package_name", "data", "notification"}
_ANDROID |= {"fcm_options", "direct_boot_ok", "collapseKey", "restrictedPackageName", "fcmOptions"}
_ANDROID |= {"directBootOk"}


def error(status: int, code: str, message: str, details: list[dict[str, Any]] | None = None) -> Reply:
    """A google.rpc.Status."""
    told: dict[str, Any] = {"code": status, "message": message, "status": code}
    if details:
        told["details"] = details
    return Reply.json(status, {"error": told})


def refuse(code: str, token: str = "", payload: Any = None) -> Refused:
    """With FCM's own error code, and nothing but it: a token that is none is told apart by the message alone
    (firebase/firebase-admin-java issue 1064)."""
    status, general, message = CODES[code]
    details: list[dict[str, Any]] = [{"@type": FCM_ERROR, "errorCode": code}]
    return Refused(error(status, general, message, details), code, token, payload)


def invalid(field: str, message: str, token: str, payload: Any) -> Refused:
    """INVALID_ARGUMENT of FCM on account of what a field says."""
    details = [{"@type": FCM_ERROR, "errorCode": "INVALID_ARGUMENT"}, _violation(field, message)]
    return Refused(error(400, "INVALID_ARGUMENT", message, details), "INVALID_ARGUMENT", token, payload)


def malformed(field: str, message: str, token: str, payload: Any) -> Refused:
    """INVALID_ARGUMENT of Google's front end, which knows the types of the fields and nothing of FCM.

    So it has no FcmError (such a body is in esl/MongoosePush issue 123).
    """
    reply = error(400, "INVALID_ARGUMENT", message, [_violation(field, message)])
    return Refused(reply, "INVALID_ARGUMENT", token, payload)


def _violation(field: str, message: str) -> dict[str, Any]:
    return {"@type": BAD_REQUEST, "fieldViolations": [{"field": field, "description": message}]}


def check_message(payload: Any) -> str:
    """The registration token of a request body. Raises Refused."""
    message = payload.get("message") if isinstance(payload, dict) else None
    if not isinstance(message, dict):
        raise invalid("message", "Request contains an invalid argument: message is required", "", payload)
    unknown = set(payload) - _REQUEST
    if unknown:
        text = f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot find field.'
        raise malformed("", text, "", payload)
    unknown = set(message) - _MESSAGE
    if unknown:
        name = min(unknown)
        text = f"Invalid JSON payload received. Unknown name \"{name}\" at 'message': Cannot find field."
        raise malformed("message", text, "", payload)
    token = message.get("token")
    if not token or "topic" in message or "condition" in message:
        text = "Recipient of the message is not set." if not token else "Invalid choice of recipient"
        raise invalid("message", text, "", payload)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise refuse("INVALID_ARGUMENT", str(token), payload)
    _check_data(message.get("data", {}), "message.data", token, payload)
    _check_android(message.get("android", {}), token, payload)
    return token


def _check_android(android: Any, token: str, payload: Any) -> None:
    if not isinstance(android, dict) or set(android) - _ANDROID:
        name = min(set(android) - _ANDROID) if isinstance(android, dict) else android
        text = f"Invalid JSON payload received. Unknown name \"{name}\" at 'message.android'"
        raise malformed("message.android", text, token, payload)
    priority = android.get("priority", "normal")
    if not isinstance(priority, str) or priority.upper() not in ("NORMAL", "HIGH"):
        text = f"Invalid value at 'message.android.priority' (AndroidMessagePriority), \"{priority}\""
        raise malformed("message.android.priority", text, token, payload)
    ttl = android.get("ttl", "2419200s")
    found = _TTL.fullmatch(ttl) if isinstance(ttl, str) else None
    if found is None:
        text = f"Invalid value at 'message.android.ttl' (type.googleapis.com/google.protobuf.Duration), {ttl}"
        raise malformed("message.android.ttl", text, token, payload)
    if int(found[1]) > LONGEST_LIFE:
        raise invalid("message.android.ttl", "Invalid ttl: it must not exceed 4 weeks", token, payload)
    _check_data(android.get("data", {}), "message.android.data", token, payload)


def _check_data(told: Any, field: str, token: str, payload: Any) -> None:
    if not isinstance(told, dict):
        raise malformed(field, f"Invalid value at '{field}' (type map)", token, payload)
    for at, (name, value) in enumerate(told.items()):
        if not isinstance(value, str):
            text = f"Invalid value at '{field}[{at}].value' (TYPE_STRING), {value}"
            raise malformed(f"{field}[{at}].value", text, token, payload)
        if name in _RESERVED or name.startswith(("google.", "gcm.")):
            raise invalid(field, f"Invalid data payload key: {name}", token, payload)
    if sum(len(name.encode()) + len(value.encode()) for name, value in told.items()) > LARGEST:
        raise invalid(field, "Android message is too big", token, payload)
