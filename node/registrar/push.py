"""Push parameters of a Contact URI: kept with the binding, never shown to others.

RFC 8599 names pn-provider, pn-param and pn-prid; apps made for Flexisip send app-id,
pn-type, pn-tok and texts, sounds and time-outs that all begin with pn-.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from node.sip.uri import Uri

LEGACY = frozenset(("app-id",))
_CONTACT_ROW = re.compile(
    rb"^(?:contact|m)[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", re.IGNORECASE | re.MULTILINE
)
_IN_URI = re.compile(rb";(?:pn-[^;=>\s,?]*|app-id)(?:=[^;>\s,?]*)?", re.IGNORECASE)
# Others need pn-purr in a Contact: it comes back in the Request-URI within a dialog (RFC 8599 6).
_OF_OTHERS = re.compile(rb";(?:pn-(?!purr[;=>\s,?])[^;=>\s,?]*|app-id)(?:=[^;>\s,?]*)?", re.IGNORECASE)


def push_parameters(uri: Uri) -> dict[str, str]:
    """The URI parameters of a Contact that only concern waking, by name."""
    return {name: value or "" for name, value in uri.params.items() if name[:3] == "pn-" or name in LEGACY}


def push_identity(push: Mapping[str, str]) -> str:
    """One string per push address: two bindings with the same one are the same phone."""
    if push.get("pn-prid"):
        return f"{push.get('pn-provider', '')}:{push.get('pn-param', '')}:{push['pn-prid']}"
    if push.get("pn-tok"):
        return f"{push.get('pn-type', '')}:{push.get('app-id', '')}:{push['pn-tok']}"
    return ""


def contacts_without_push(raw: bytes) -> bytes:
    """A message as it may be shown to others: no push parameters in its Contact rows, save pn-purr."""
    header, blank, body = raw.partition(b"\r\n\r\n")
    return _CONTACT_ROW.sub(lambda row: _OF_OTHERS.sub(b"", row[0]), header) + blank + body


def without_push(value: bytes) -> bytes:
    """A URI or Contact value without its push parameters; the rest byte for byte."""
    return _IN_URI.sub(b"", value)


SERVICES = (".remote&voip", ".voip&remote", ".voip", ".remote")


def app_of(provider: str, param: str) -> str:
    """The app that pn-param (or app-id) names: for Apple the bundle identifier without the team before it
    and the kinds of token behind it; elsewhere pn-param itself."""
    if not provider.startswith("apns"):
        return param
    bundle = param.removesuffix(".dev").removesuffix(".prod")
    for service in SERVICES:
        bundle = bundle.removesuffix(service)
    team, dot, rest = bundle.partition(".")
    if dot and len(team) == 10 and team.isalnum() and team.upper() == team:
        return rest
    return bundle
