"""The 200 to a REGISTER: every binding of the address of record, and what we support."""

from __future__ import annotations

from collections.abc import Collection

from cluster.location.service import Record
from node.registrar.push import without_push
from node.settings import RegistrarSettings
from node.sip.codec import Message
from node.sip.uri import parse_uri


class RegisterAnswer:
    """Writes the header lines of a 200."""

    def __init__(self, settings: RegistrarSettings) -> None:
        self._gruu = settings.gruu
        routes = b"".join(b"Service-Route: <%b>\r\n" % route.encode() for route in settings.service_route)
        supported = b"path, outbound, gruu" if settings.gruu else b"path, outbound"
        self._tail = routes + b"Supported: " + supported + b"\r\n"

    def lines(self, message: Message, record: Record, asked: Collection[str], now_ms: int) -> bytes:
        """`asked` holds the keys of the bindings that this REGISTER named: only those are
        listed with their push parameters, so that no device learns another one's token."""
        lines = []
        outbound = False
        for binding in record.bindings:
            own = binding.key in asked
            gruu = _gruu(message, binding.instance) if binding.instance and self._gruu else ""
            outbound = outbound or (own and binding.reg_id > 0)
            uri = binding.raw_uri if own and binding.raw_uri else binding.uri
            if not own and ";pn-" in uri:  # of a phone that another proxy wakes
                uri = without_push(uri.encode()).decode()
            left = max(1, (binding.expires_at - now_ms + 500) // 1000)
            lines.append(f"Contact: <{uri}>{binding.params};expires={left}{gruu}\r\n".encode())
        if outbound:
            lines.append(b"Require: outbound\r\n")
        lines += [b"Path: " + value + b"\r\n" for value in message.all("path")]
        lines.append(self._tail)
        return b"".join(lines)


def _gruu(message: Message, instance: str) -> str:
    """The Contact parameter that tells a phone its public GRUU, if it knows what that is."""
    if b"gruu" not in message.values("supported"):
        return ""
    return f';pub-gruu="{public_gruu(message.to_uri, instance)}"'


def public_gruu(to_uri: bytes, instance: str) -> str:
    """The public GRUU of one device (RFC 5627 3.1): AOR plus its instance."""
    uri = parse_uri(to_uri)
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    return f"{uri.scheme}:{uri.user}@{host};gr={instance.strip('<>')}"
