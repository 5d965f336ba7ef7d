"""A binding (RFC 3261 10) and its stored form.

Stored form, the value of one field of the hash `clarion:aor:{user@host}` (the field is the device key):

    version LF expires_at LF message_expires_at LF registered_at LF cseq LF call_id LF prid LF tail

The seven head lines are what `register.lua` decides by, and never change. The tail is a JSON object that
only nodes read. `version` is the least version that a reader must know: a field that an old node may ignore
goes into the tail without a new version (unknown fields are ignored, missing ones have their default), so
old nodes read new records and the reverse. A record with a greater version than ours is skipped when read
and left in place when written beside.
"""

from __future__ import annotations

import msgspec

VERSION = 1


class Binding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One binding. The three times are on the store's clock, in ms, and set by the location service."""

    key: str = ""  # the device: "<instance>", "<instance>;reg-id=N", "prid:...", or the contact URI
    uri: str = ""  # Contact URI without push parameters: what requests are sent to
    params: str = ""  # Contact header field parameters to list back (";q=0.5;+sip.instance=...")
    q: int = 1000  # 0..1000
    expires_at: int = 0
    message_expires_at: int = 0  # never before expires_at
    registered_at: int = 0  # the last REGISTER that made or refreshed it
    call_id: str = ""
    cseq: int = 0
    instance: str = ""
    reg_id: int = 0
    path: tuple[str, ...] = ()  # Path values of the REGISTER, name-addr as received
    node: str = ""  # the node that holds the flow, and its incarnation
    epoch: str = ""
    flow: str = ""  # flow token
    reliable: bool = False  # a connection-oriented flow: it dies with the epoch
    push: dict[str, str] = {}  # push parameters as given in the Contact URI; never sent to others
    prid: str = ""  # identity of the push token, "provider:param:prid"; "" if none
    raw_uri: str = ""  # the Contact URI as given, to list it back to its owner
    user_agent: str = ""


class _Tail(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the head does not already hold; same names and defaults as in Binding."""

    uri: str = ""
    params: str = ""
    q: int = 1000
    instance: str = ""
    reg_id: int = 0
    path: tuple[str, ...] = ()
    node: str = ""
    epoch: str = ""
    flow: str = ""
    reliable: bool = False
    push: dict[str, str] = {}
    raw_uri: str = ""
    user_agent: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Binding).decode
_set = msgspec.structs.force_setattr


def encode_tail(b: Binding) -> bytes:
    """The JSON tail of the stored form."""
    return _encode(
        _Tail(
            b.uri, b.params, b.q, b.instance, b.reg_id, b.path, b.node, b.epoch, b.flow, b.reliable,
            b.push, b.raw_uri, b.user_agent,
        )
    )  # fmt: skip


def line(text: str) -> str:
    """`text` as one head line (no header field value holds the separator once it is unfolded)."""
    return text.replace("\n", " ") if "\n" in text else text


def decode(key: bytes, value: bytes) -> Binding | None:
    """The binding stored under a device key; None where it is of a later version or no binding at all."""
    try:
        version, expires, message_expires, registered, cseq, call_id, prid, tail = value.split(b"\n", 7)
        if int(version) > VERSION:
            return None
        binding = _decode(tail)
        _set(binding, "key", key.decode())
        _set(binding, "expires_at", int(expires))
        _set(binding, "message_expires_at", int(message_expires))
        _set(binding, "registered_at", int(registered))
        _set(binding, "cseq", int(cseq))
        _set(binding, "call_id", call_id.decode())
        _set(binding, "prid", prid.decode())
    except (ValueError, msgspec.MsgspecError):
        return None
    return binding


def stamped(
    binding: Binding, now_ms: int, ttl_ms: int, message_ttl_ms: int, call_id: str, cseq: int
) -> Binding:
    """The binding as the script has just stored it at the store's time `now_ms`."""
    return msgspec.structs.replace(
        binding,
        expires_at=now_ms + ttl_ms,
        message_expires_at=now_ms + max(ttl_ms, message_ttl_ms),
        registered_at=now_ms,
        call_id=call_id,
        cseq=cseq,
    )
