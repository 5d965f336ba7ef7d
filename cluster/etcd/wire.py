"""etcd's JSON: base64 for bytes, decimal strings for 64-bit numbers, absent for zero."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import msgspec

Json = dict[str, Any]


class KeyValue(msgspec.Struct, frozen=True):
    """One key as etcd holds it. Revisions fence writes and resume watches."""

    key: str
    value: bytes
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int = 0


class TxnResult(msgspec.Struct, frozen=True):
    """`responses` are the raw answers of the branch that was taken."""

    succeeded: bool
    revision: int
    responses: tuple[Json, ...] = ()

    def keys(self, index: int = 0) -> tuple[KeyValue, ...]:
        """The keys that a range at this position of the branch found."""
        found = self.responses[index].get("response_range", {}).get("kvs", ())
        return tuple(key_value(row) for row in found)


def text(value: str | bytes) -> str:
    """Bytes as the gateway takes them."""
    return b64encode(value.encode() if isinstance(value, str) else value).decode()


def key_value(row: Json) -> KeyValue:
    return KeyValue(
        b64decode(row["key"]).decode(errors="replace"),
        b64decode(row.get("value", "")),
        int(row.get("create_revision", 0)),
        int(row.get("mod_revision", 0)),
        int(row.get("version", 0)),
        int(row.get("lease", 0)),
    )


def revision(answer: Json) -> int:
    return int(answer.get("header", {}).get("revision", 0))


def prefix_end(prefix: str) -> str:
    """The range end that makes a range of all keys with this prefix, as the gateway takes it."""
    raw = bytearray(prefix.encode())
    while raw and raw[-1] == 0xFF:
        raw.pop()
    if not raw:
        return text(b"\0")
    raw[-1] += 1
    return text(bytes(raw))


# -- parts of a transaction


def absent(key: str) -> Json:
    """Holds if the key does not exist."""
    return {"key": text(key), "target": "VERSION", "result": "EQUAL", "version": "0"}


def unchanged(key: str, mod_revision: int) -> Json:
    """Holds if the key was last written at that revision."""
    return {"key": text(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(mod_revision)}


def put(key: str, value: bytes, lease: int = 0) -> Json:
    return {"request_put": {"key": text(key), "value": text(value), "lease": str(lease)}}


def get(key: str) -> Json:
    return {"request_range": {"key": text(key)}}


def delete(key: str) -> Json:
    return {"request_delete_range": {"key": text(key)}}
