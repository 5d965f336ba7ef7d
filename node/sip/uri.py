"""SIP, SIPS and tel URIs (RFC 3261 19.1, RFC 3966)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from node.sip.errors import ParseError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):").match
_HOSTPORT = re.compile(r"(\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9._\-]++)(?::([0-9]{1,5}))?").fullmatch
# The usual one: no escapes, password, brackets or headers.
_PLAIN = re.compile(
    r"(sips?):(?:([A-Za-z0-9\-_.!~*'()&=+$,/]++)@)?([A-Za-z0-9._\-]++)(?::([0-9]{1,5}))?"
    r'(?:;([^\x00-\x20\x7f<>"?@]*+))?'
).fullmatch
_UNSAFE = re.compile(r'[\x00-\x20\x7f<>"]').search
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_TEL_VISUAL = str.maketrans("", "", "-.()")
_CACHE_SIZE: Final = 8192
_cache: dict[bytes, Uri] = {}


class Uri:
    """A parsed URI; never changed after it was made.

    ``user``, ``password`` and ``headers`` are as written (escapes kept), ``host`` is lower case without the
    brackets of IPv6, ``port`` 0 if absent, ``params`` maps lower-case names to values as written (None
    without "="). Octets that are not UTF-8 survive as surrogate escapes. A tel URI has its number in ``user``
    and no host.

    ``aor`` keys the address of record (RFC 3261 10.3): "user@host", the user unescaped, port and parameters
    left out.
    """

    __slots__ = ("_aor", "headers", "host", "params", "password", "port", "raw", "scheme", "user")

    def __init__(
        self,
        raw: bytes,
        scheme: str,
        user: str,
        password: str,
        host: str,
        port: int,
        params: dict[str, str | None],
        headers: str,
    ) -> None:
        self.raw = raw
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params = params
        self.headers = headers
        self._aor: str | None = None

    @property
    def aor(self) -> str:
        """Made when first asked for: of a Contact nobody wants to know it."""
        if self._aor is None:
            self._aor = _aor(self.scheme, self.user, self.host)
        return self._aor

    @property
    def transport(self) -> str | None:
        """The transport parameter in lower case."""
        value = self.params.get("transport")
        return value.lower() if value else None

    def __str__(self) -> str:
        return self.raw.decode(errors="surrogateescape")

    def __repr__(self) -> str:
        return f"Uri({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Uri) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def with_params(self, **params: str | None) -> Uri:
        """The same URI with these parameters set; "_" in a name stands for "-"."""
        changes = {name.replace("_", "-").lower(): value for name, value in params.items()}
        return self._again({**self.params, **changes})

    def without_params(self, names: Iterable[str]) -> Uri:
        """The same URI less the parameters named."""
        dropped = {name.lower() for name in names}
        return self._again({name: value for name, value in self.params.items() if name not in dropped})

    def _again(self, params: dict[str, str | None]) -> Uri:
        if params == self.params:
            return self
        head, _, _ = str(self).partition("?") if self.headers else (str(self), "", "")
        if self.params:
            head = head[: _params_at(head)]
        written = "".join(
            f";{name}" if value is None else f";{name}={value}" for name, value in params.items()
        )
        text = head + written + (f"?{self.headers}" if self.headers else "")
        return parse_uri(text.encode(errors="surrogateescape"))


def parse_uri(raw: bytes) -> Uri:
    """A URI from its octets, as between "<" and ">" or in a Request-URI; answers come from a bounded cache.

    Raises ParseError 416 for a scheme other than sip, sips and tel, 400 for what is no URI.
    """
    known = _cache.get(raw)
    if known is None:
        known = read_uri(raw)
        if len(raw) <= 512:
            if len(_cache) >= _CACHE_SIZE:
                del _cache[next(iter(_cache))]
            _cache[raw] = known
    return known


def equivalent(a: Uri, b: Uri) -> bool:
    """Whether two URIs are equal by RFC 3261 19.1.4 (sip, sips) or RFC 3966 4 (tel)."""
    if a.scheme != b.scheme:
        return False
    if a.scheme == "tel":
        return a.aor.lower() == b.aor.lower() and _folded(a.params) == _folded(b.params)
    if (_plain(a.user), _plain(a.password), a.host, a.port) != (
        _plain(b.user),
        _plain(b.password),
        b.host,
        b.port,
    ):
        return False
    mine, theirs = _folded(a.params), _folded(b.params)
    if any(mine.get(name) != theirs.get(name) for name in ("user", "ttl", "method", "maddr", "transport")):
        return False
    if any(theirs.get(name, value) != value for name, value in mine.items()):
        return False
    return sorted(_headers(a.headers)) == sorted(_headers(b.headers))


def read_uri(raw: bytes) -> Uri:
    """`parse_uri` without the cache: for a Contact, which is another one for each phone and would only drive
    out what comes again."""
    text = raw.decode(errors="surrogateescape")
    plain = _PLAIN(text)
    if plain is not None:
        scheme, user, host, port, params = plain.groups("")
        return Uri(raw, scheme, user, "", host.lower(), _port(port), _params(params) if params else {}, "")
    found = _SCHEME(text)
    if not found or _UNSAFE(text):
        raise ParseError(400, "Malformed URI")
    scheme = found[1].lower()
    rest = text[found.end() :]
    if scheme == "tel":
        return _read_tel(raw, rest)
    if scheme not in ("sip", "sips"):
        raise ParseError(416, "Unsupported URI Scheme")
    return _read_sip(raw, scheme, rest)


def _read_sip(raw: bytes, scheme: str, rest: str) -> Uri:
    # "@" never occurs unescaped after the user part, while ";" and "?" may occur within it (RFC 4475 3.1.1.9)
    userinfo, at, rest = rest.rpartition("@")
    user, _, password = userinfo.partition(":")
    rest, _, headers = rest.partition("?")
    hostport, _, params = rest.partition(";")
    found = _HOSTPORT(hostport)
    if not found or (at and not user) or "@" in userinfo or _BAD_ESCAPE(userinfo):
        raise ParseError(400, "Malformed URI")
    port = _port(found[2] or "")
    return Uri(raw, scheme, user, password, found[1].strip("[]").lower(), port, _params(params), headers)


def _port(digits: str) -> int:
    port = int(digits or 0)
    if port > 65535:
        raise ParseError(400, "URI with a port above 65535")
    return port


def _read_tel(raw: bytes, rest: str) -> Uri:
    number, _, params = rest.partition(";")
    if not re.fullmatch(r"\+?[0-9A-Fa-f*#\-.()]+", number):
        raise ParseError(400, "Malformed tel URI")
    return Uri(raw, "tel", number, "", "", 0, _params(params), "")


def _params(text: str) -> dict[str, str | None]:
    params: dict[str, str | None] = {}
    for param in text.split(";") if text else ():
        name, equals, value = param.partition("=")
        if not name:
            raise ParseError(400, "URI with an empty parameter")
        params.setdefault(name.lower(), value if equals else None)
    return params


def _params_at(head: str) -> int:
    """Where the parameters of a URI without headers begin; the user part of a SIP URI may hold ";" too."""
    return head.index(";", max(head.rfind("@"), 0))


def _aor(scheme: str, user: str, host: str) -> str:
    if scheme == "tel":
        return user.translate(_TEL_VISUAL)
    return f"{_plain(user)}@{host}" if user else host


def _plain(text: str) -> str:
    return unquote(text, errors="surrogateescape") if "%" in text else text


def _folded(params: dict[str, str | None]) -> dict[str, str | None]:
    return {name: _plain(value).lower() if value is not None else None for name, value in params.items()}


def _headers(text: str) -> list[tuple[str, str]]:
    pairs = (header.partition("=") for header in text.split("&") if header)
    return [(_plain(name).lower(), _plain(value)) for name, _, value in pairs]
