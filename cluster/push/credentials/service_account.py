"""A Google service account: the JSON file that the Firebase console gives out."""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from cluster.push.credentials.keys import rsa_key
from cluster.push.credentials.watched import CredentialError

REMEDY = "generate a key at Firebase console > Project settings > Service accounts"


class _File(msgspec.Struct):
    type: str = ""
    project_id: str = ""
    private_key_id: str = ""
    private_key: str = ""
    client_email: str = ""
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105


class ServiceAccount(msgspec.Struct, frozen=True):
    """Who we are at Google."""

    project: str
    email: str
    key_id: str
    key: rsa.RSAPrivateKey
    token_uri: str


def parse_service_account(content: bytes) -> ServiceAccount:
    """Raises CredentialError."""
    try:
        file = msgspec.json.decode(content, type=_File)
    except msgspec.MsgspecError:
        raise CredentialError(f"is not the JSON of a service account: {REMEDY}") from None
    if file.type != "service_account":
        kind = file.type or "something else"
        raise CredentialError(f"describes {kind}, not a service account: {REMEDY}")
    for name in ("project_id", "private_key", "client_email"):
        if not getattr(file, name):
            raise CredentialError(f"lacks {name}: {REMEDY}")
    key = rsa_key(file.private_key.encode())
    return ServiceAccount(file.project_id, file.client_email, file.private_key_id, key, file.token_uri)
