"""What a REGISTER asks for: its Contact values as changes of bindings (RFC 3261 10.3).

Which device a Contact means: its instance with its reg-id (RFC 5626), else its push
identity, else its `line` parameter, else the URI itself.
"""

from __future__ import annotations

import re

from cluster.location.binding import Binding
from node.registrar.push import push_identity, push_parameters, without_push
from node.settings import RegistrarSettings
from node.sip.address import Address, parse_address
from node.sip.codec import Message
from node.sip.errors import ParseError
from node.sip.uri import Uri, read_uri

Q_VALUE = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
LISTED_BY_US = frozenset(("expires", "pub-gruu", "temp-gruu", "temp-gruu-cookie"))


class Refused(Exception):
    """The REGISTER cannot be served: `status`, reason, and header lines for the answer."""

    def __init__(self, status: int, reason: str, insert: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.insert = insert


class Wanted:
    """One Contact as asked for; `ttl` 0 removes the binding. Times are seconds."""

    __slots__ = (
        "address",
        "instance",
        "message_ttl",
        "prid",
        "push",
        "q",
        "refreshes",
        "reg_id",
        "shown",
        "ttl",
        "uri",
    )

    def __init__(self, address: Address, default: int | None, settings: RegistrarSettings) -> None:
        self.address = address
        try:
            self.uri: Uri = read_uri(address.uri)
        except ParseError as error:
            raise Refused(400, f"Contact: {error.reason}") from None
        if self.uri.scheme not in ("sip", "sips") or not self.uri.host:
            raise Refused(400, f"Contact with a {self.uri.scheme} URI cannot be registered")
        params = address.params
        self.ttl = lifetime(params.get("expires"), default, settings)
        self.message_ttl = self.ttl
        if self.ttl and "message-expires" in params:
            self.message_ttl = max(self.ttl, _seconds(params["message-expires"]) or 0)
        q = params.get("q")
        self.q = _quality(q) if q else 1000
        instance = params.get("+sip.instance")
        self.instance = instance.strip('"') if instance else ""
        self.reg_id = _reg_id(params.get("reg-id")) if self.instance else 0
        self.push = push_parameters(self.uri)
        self.refreshes = "+sip.pnsreg" in params  # the app wakes by itself before its binding ends
        self.prid = push_identity(self.push) if self.push else ""
        # what may be shown to others: without what only concerns waking
        self.shown = _text(without_push(address.uri) if self.push else address.uri)

    def leave_waking(self) -> None:
        """Another proxy wakes this phone: it finds the push address in the Request-URI (RFC 8599 5.6.2), and
        we do not use it."""
        self.push = {}
        self.shown = _text(self.address.uri)

    @property
    def key(self) -> str:
        """Names the device among the bindings of its address of record."""
        if self.instance:
            return f"{self.instance};reg-id={self.reg_id}" if self.reg_id else self.instance
        if self.prid:
            return "prid:" + self.prid
        line = self.uri.params.get("line")
        return "line:" + line if line else _comparable(self.shown)

    def binding(
        self, message: Message, path: tuple[str, ...], node: str, epoch: str, flow: str, reliable: bool
    ) -> Binding:
        """The binding to store; how it is reached is the caller's to say."""
        agent = message.first("user-agent")
        return Binding(
            key=self.key,
            uri=self.shown,
            params=_listed(self.address) if self.address.params else "",
            q=self.q,
            call_id=_text(message.call_id),
            cseq=message.cseq,
            instance=self.instance,
            reg_id=self.reg_id,
            path=path,
            node=node,
            epoch=epoch,
            flow=flow,
            reliable=reliable,
            push=self.push,
            prid=self.prid if self.push else "",
            raw_uri=_text(self.address.uri) if self.push else "",
            user_agent=agent.decode("utf-8", "replace")[:128] if agent else "",
        )


def read_contacts(message: Message, settings: RegistrarSettings) -> list[Wanted] | None:
    """The Contacts of a REGISTER: None for the wildcard, [] when it only asks.

    Raises Refused (400, 403, 423) or `node.sip.errors.ParseError`.
    """
    values = message.values("contact")
    if not values:
        return []
    default = _header_expires(message)
    if b"*" in values:
        if len(values) > 1 or default != 0:
            raise Refused(400, "Contact * needs Expires 0 and no other Contact")
        return None
    if len(values) > settings.max_contacts:
        raise Refused(403, "Too many Contacts in one REGISTER")
    return [Wanted(parse_address(value), default, settings) for value in values]


def lifetime(asked: str | None, default: int | None, settings: RegistrarSettings) -> int:
    """Seconds that a binding lives: its own expires, the Expires header, or our default."""
    seconds = _seconds(asked)
    if seconds is None:
        seconds = settings.default_expires if default is None else default
    if 0 < seconds < settings.min_expires:
        raise Refused(423, "Interval Too Brief", b"Min-Expires: %d\r\n" % settings.min_expires)
    return min(seconds, settings.max_expires)


def _quality(q: str) -> int:
    """RFC 3261 20.10 in thousandths."""
    if not Q_VALUE.fullmatch(q):
        raise Refused(400, f"Contact with a bad q value {q[:16]}")
    return round(1000 * float(q))


def _reg_id(reg_id: str | None) -> int:
    """RFC 5626 4.2; 0 if absent."""
    if reg_id is None:
        return 0
    if not reg_id.isdigit() or not 0 < int(reg_id[:10]) < 2**31:
        raise Refused(400, f"Contact with a bad reg-id {reg_id[:16]}")
    return int(reg_id)


def _seconds(text: str | None) -> int | None:
    """RFC 3261 10.2.1.1: a malformed value counts as absent (then 3600 or the default)."""
    if text and len(text) <= 10 and text.isascii() and text.isdigit():
        return min(int(text), 2**31)
    return None


def _header_expires(message: Message) -> int | None:
    value = message.first("expires")
    return min(int(value), 2**31) if value and len(value) <= 10 and value.isdigit() else None


def _listed(address: Address) -> str:
    """Contact parameters to list back, without those that we write ourselves."""
    listed = ""
    for name, value in address.params.items():
        if name in LISTED_BY_US:
            continue
        if value is None:
            listed += ";" + name
        elif name[0] == "+" and value[:1] != '"':
            listed += f';{name}="{value}"'
        else:
            listed += f";{name}={value}"
    return listed


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Refused(400, "Contact or Call-ID is not UTF-8") from None


def _comparable(uri: str) -> str:
    """Equal for two spellings of one URI: host and parameters ignore case (RFC 3261 19.1.4)."""
    user, at, rest = uri.rpartition("@")
    if not at:
        scheme, _, host = rest.partition(":")
        return f"{scheme.lower()}:{host.lower()}"
    return user + at + rest.lower()
