"""Flow tokens (RFC 5626 5.2): the name of a flow, signed, as the user part of a URI.

A token stands in Path and Record-Route, so any node may get it back from anybody. It carries in the clear
which node holds the flow and where it leads; its end is a keyed hash, so nobody can make us send to an
address that did not first send to us. All nodes share the keys: the first one signs, all are accepted, so
keys can be rotated.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from node.transport.flow import Flow

VERSION: Final = 1
SEAL: Final = 10  # octets of keyed hash
TRANSPORTS: Final = ("udp", "tcp", "tls", "ws", "wss")
_HEAD: Final = struct.Struct("!BBHH")  # version, transport, our port, remote port
_SERIAL: Final = struct.Struct("!Q")


class TokenError(ValueError):
    """A token that none of our nodes made."""


class FlowAddress(NamedTuple):
    """What a token says. ``epoch`` (incarnation of the node) and ``serial`` are "" and 0 for UDP."""

    node: str
    epoch: str
    transport: str
    listener_port: int
    serial: int
    host: str
    port: int


class FlowTokens:
    """Makes and opens the tokens of one node."""

    def __init__(self, node_name: str, keys: Sequence[bytes], epoch: str = "") -> None:
        """``keys`` are secrets shared by all nodes, at least one of at least 16 octets; the first signs."""
        if not keys or any(len(key) < 16 for key in keys):
            raise ValueError("flow tokens need at least one key of at least 16 octets")
        self.node_name = node_name
        self._keys = [hashlib.blake2b(key, digest_size=32, person=b"flow token").digest() for key in keys]
        self._node = _text(node_name)
        self._epoch = _text(epoch)

    def token(self, flow: Flow) -> str:
        """The token of a flow of this node; remembered in the flow, so asking again costs nothing."""
        token = flow.token
        if not token:
            token = flow.token = self._make(flow)
        return token

    def _make(self, flow: Flow) -> str:
        head = _HEAD.pack(VERSION, TRANSPORTS.index(flow.transport), flow.listener.port, flow.rport)
        lasts = self._epoch + _SERIAL.pack(flow.serial) if flow.reliable else b""
        host = ipaddress.ip_address(flow.received.decode()).packed
        content = head + self._node + lasts + host
        return _encoded(content + self._seal(self._keys[0], content))

    def open(self, token: str) -> FlowAddress:
        """What a token says, whichever node made it. Raises TokenError if falsified or not a token."""
        octets = _decoded(token)
        content, seal = octets[:-SEAL], octets[-SEAL:]
        if not any(hmac.compare_digest(seal, self._seal(key, content)) for key in self._keys):
            raise TokenError("the signature does not fit")
        try:
            return _read(content)
        except (struct.error, IndexError, ValueError) as error:
            raise TokenError(f"unreadable: {error}") from None

    @staticmethod
    def _seal(key: bytes, content: bytes) -> bytes:
        return hashlib.blake2b(content, digest_size=SEAL, key=key).digest()


def _read(content: bytes) -> FlowAddress:
    version, transport, listener_port, port = _HEAD.unpack_from(content)
    if version != VERSION:
        raise ValueError(f"version {version} is not known here")
    node, at = _read_text(content, _HEAD.size)
    epoch, serial = "", 0
    if transport:
        epoch, at = _read_text(content, at)
        (serial,) = _SERIAL.unpack_from(content, at)
        at += _SERIAL.size
    host = str(ipaddress.ip_address(content[at:]))
    return FlowAddress(node, epoch, TRANSPORTS[transport], listener_port, serial, host, port)


def _text(text: str) -> bytes:
    octets = text.encode()
    if len(octets) > 255:
        raise ValueError("the name and the epoch of a node have at most 255 octets")
    return bytes([len(octets)]) + octets


def _read_text(content: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + content[at]
    return content[at + 1 : end].decode(), end


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _decoded(token: str) -> bytes:
    try:
        octets = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TokenError("not a flow token") from None
    if len(octets) <= SEAL or _encoded(octets) != token:  # one spelling only
        raise TokenError("not a flow token")
    return octets
