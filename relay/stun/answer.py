"""What a STUN server says to a message: Binding only. Sans-IO.

Who answers strangers by UDP can be used to flood others: the sender's address may be forged. So nothing is
ever said to an answer or an indication, nothing to what is malformed, and no answer is longer than the
request or the smallest honest success, whichever is longer: SOFTWARE is left out where it would not fit, a
list of unknown attributes is cut. (A 420 may be as long as the smallest success by IPv6: with less it could
name nothing.)
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from relay.address import Address
from relay.stun.message import (
    BINDING,
    Attribute,
    Class,
    Malformed,
    Message,
    address_value,
    attribute,
    decode,
    encode,
    xor_address_value,
)

# Understood in the sense that they change nothing: there are no credentials here (RFC 8489 9), and the checks
# of ICE (RFC 8445) that go astray are answered like any other request.
_READ_OVER: Final = frozenset((
    Attribute.USERNAME, Attribute.MESSAGE_INTEGRITY, Attribute.REALM, Attribute.NONCE, Attribute.USERHASH,
    Attribute.MESSAGE_INTEGRITY_SHA256, Attribute.PASSWORD_ALGORITHM, Attribute.PRIORITY,
    Attribute.USE_CANDIDATE,
))  # fmt: skip
_CHANGE_IP: Final = 4
_CHANGE_PORT: Final = 2
_UNKNOWN: Final = b"\x00\x00\x04\x14Unknown Attribute"


class Local(NamedTuple):
    """The addresses of a server that has two of each (RFC 5780), seen from the socket that was asked."""

    here: Address  # asked
    other_port: Address  # the same host
    other_host: Address  # the same port
    other: Address  # both differ


class Answer(NamedTuple):
    data: bytes
    origin: Address | None = None  # to be sent from there; None: from where it was asked
    port: int = 0  # to be sent to there; 0: to the port that asked


def answer(
    data: bytes, source: Address, local: Local | None = None, *, software: bytes = b"", datagram: bool = True
) -> Answer | None:
    """The answer to what came from `source`; None where silence is due.

    `local`: behaviour discovery is offered. `software`: our name, at most 128 octets. `datagram`: false on
    TCP and TLS, where the source is not forged and length does not matter.
    """
    try:
        message = decode(data)
    except Malformed:
        return None
    if message.kind != Class.REQUEST or message.method != BINDING:
        return None
    known = _READ_OVER | _discovery(message, local, datagram)
    unknown = [number for number, _ in message.attributes if number < 0x8000 and number not in known]
    smallest = _smallest(message, 6 if unknown else source.family)
    room = max(len(data), smallest) if datagram else 1 << 16
    if unknown:
        return _refusal(message, unknown, room)
    return _success(message, source, local, software, room)


def _discovery(message: Message, local: Local | None, datagram: bool) -> frozenset[int]:
    """Attributes that ask how a NAT behaves, where we can tell.

    Classic clients always send CHANGE-REQUEST; without two addresses one that asks for no change is obeyed.
    """
    if local is not None and datagram:
        return frozenset((Attribute.CHANGE_REQUEST, Attribute.RESPONSE_PORT))
    return frozenset((Attribute.CHANGE_REQUEST,)) if _changes(message) == 0 else frozenset()


def _changes(message: Message) -> int | None:
    """The flags of CHANGE-REQUEST; None where there is none or it is no such attribute."""
    value = message.value(Attribute.CHANGE_REQUEST)
    return None if value is None or len(value) != 4 else value[3] & (_CHANGE_IP | _CHANGE_PORT)


def _smallest(message: Message, family: int) -> int:
    return 20 + 4 + (8 if family == 4 else 20) + 8 * message.fingerprinted


def _refusal(message: Message, unknown: list[int], room: int) -> Answer | None:
    """420, with as many numbers as there is room for; None where not even the code has room."""
    body = attribute(Attribute.ERROR_CODE, _UNKNOWN)
    spare = room - 20 - 8 * message.fingerprinted
    if len(body) + 8 > spare:
        body = attribute(Attribute.ERROR_CODE, _UNKNOWN[:4])
    count = min(len(unknown), 2 * ((spare - len(body) - 4) // 4))
    if count < 1:
        return None
    numbers = struct.pack(f"!{count}H", *unknown[:count])
    if message.classic and count % 2:  # RFC 3489 11.2.10: the last one is repeated instead of padded
        numbers += numbers[-2:]
    body += attribute(Attribute.UNKNOWN_ATTRIBUTES, numbers)
    data = encode(Class.ERROR, BINDING, message.transaction, body, sign=message.fingerprinted)
    return Answer(data) if len(data) <= room else None


def _success(
    message: Message, source: Address, local: Local | None, software: bytes, room: int
) -> Answer | None:
    origin, port = _way(message, local)
    if message.classic:
        body = attribute(Attribute.MAPPED_ADDRESS, address_value(source))
    else:
        body = attribute(Attribute.XOR_MAPPED_ADDRESS, xor_address_value(source, message.transaction))
    extras = []
    if local is not None:
        names = (Attribute.RESPONSE_ORIGIN, Attribute.OTHER_ADDRESS)
        if message.classic:
            names = (Attribute.SOURCE_ADDRESS, Attribute.CHANGED_ADDRESS)
        extras = [
            attribute(names[0], address_value(origin or local.here)),
            attribute(names[1], address_value(local.other)),
        ]
        # what discovery needs goes out whole; the rate of each source is limited (RFC 5780 10)
        room = max(room, 20 + len(body) + sum(map(len, extras)) + 8 * message.fingerprinted)
    if software and not message.classic:
        extras.append(attribute(Attribute.SOFTWARE, software[:128]))
    for extra in extras:
        if 20 + len(body) + len(extra) + 8 * message.fingerprinted <= room:
            body += extra
    data = encode(Class.SUCCESS, BINDING, message.transaction, body, sign=message.fingerprinted)
    return Answer(data, origin, port)


def _way(message: Message, local: Local | None) -> tuple[Address | None, int]:
    """Which socket an answer leaves from, and to which port it goes (RFC 5780 7.2, 7.5)."""
    if local is None:
        return None, 0
    changes = _changes(message) or 0
    origin = (None, local.other_port, local.other_host, local.other)[changes // 2]
    value = message.value(Attribute.RESPONSE_PORT)
    return origin, int.from_bytes(value[:2], "big") if value is not None and len(value) >= 2 else 0
