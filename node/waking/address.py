"""What a binding says about its push service: RFC 8599 parameters, and those of apps made for Flexisip."""

from __future__ import annotations

import msgspec

from cluster.location.binding import Binding
from node.registrar.push import app_of

GOOGLE = frozenset(("google", "firebase", "android"))
WINDOWS = frozenset(("wp", "w10", "wns"))


class PushAddress(msgspec.Struct, frozen=True):
    """One app on one phone. Tokens are "" where there is none, or where the provider refused it."""

    provider: str
    app: str
    voip: str = ""  # PushKit
    remote: str = ""  # Apple, alerts and background pushes
    data: str = ""  # every other service
    dead: bool = False  # there were tokens, and the provider refused them all

    def token(self, event: str) -> tuple[str, str]:
        """Kind and token of a push for that event; ("", "") if this app cannot get one.

        A VoIP push makes an Apple phone ring whatever it says, so only calls may use it.
        """
        if self.data:
            return "data", self.data
        if event == "call":
            return ("voip", self.voip) if self.voip else ("alert", self.remote) if self.remote else ("", "")
        if not self.remote:
            return "", ""
        return ("background" if event in ("refresh", "summary") else "alert"), self.remote


def push_address(binding: Binding) -> PushAddress | None:
    """The push address of a binding; None if its Contact gave none.

    A token counts as long as it stands in `binding.prid`: dispatch cuts out what a provider refused.
    """
    push = binding.push
    prid = push.get("pn-prid") or push.get("pn-tok")
    if not prid:
        return None
    if "pn-prid" in push:
        provider, param = push.get("pn-provider", ""), push.get("pn-param", "")
    else:
        provider, param = _legacy(push)
    app = app_of(provider, param)
    voip = remote = data = ""
    for part in prid.split("&"):
        token, _, service = part.partition(":") if provider.startswith("apns") else (part, "", "")
        if token not in binding.prid:
            continue
        if not provider.startswith("apns"):
            data = prid if prid in binding.prid else ""
        elif service == "voip" or (not service and _is_voip(param)):
            voip = token
        else:
            remote = token
    return PushAddress(provider, app, voip, remote, data, dead=not (voip or remote or data))


def _legacy(push: dict[str, str]) -> tuple[str, str]:
    """Provider and app of pn-type and app-id: `org.example.app.voip.dev`, or a project number."""
    kind, app = push.get("pn-type", "").lower(), push.get("app-id", "")
    if kind == "apple":
        return ("apns.dev" if app.endswith(".dev") else "apns"), app.removesuffix(".dev").removesuffix(
            ".prod"
        )
    if kind in GOOGLE:
        return "fcm", app
    return ("wns" if kind in WINDOWS else kind), app


def _is_voip(param: str) -> bool:
    """Whether a single token without a service of its own is for VoIP pushes."""
    return param.removesuffix(".dev").removesuffix(".prod").endswith(".voip")
