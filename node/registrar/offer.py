"""Push services in REGISTER and its answer (RFC 8599 4 and 5).

A Contact with pn-provider and pn-prid registers a push address: 555 if other services are set up here, and
that one is not; where there is none at all it counts as any phone.
With pn-provider alone it asks which services there are. The 200 tells in Feature-Caps what can be used: the
service, the VAPID key of Web Push, how long before its end an app should renew its registration by itself
(+sip.pnsreg), and the reference that wakes the app within a dialog (+sip.pnspurr). Where a proxy before us
has told that it does this for a service, we leave that service to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from node.registrar.contact import Refused, Wanted
from node.registrar.push import app_of
from node.settings import WakingSettings
from node.sip.codec import Message
from node.waking.purr import Purr
from node.waking.pushes import Catalogue

EARLIER = 60  # seconds that an app renews its registration before it would be woken for that
LEAST_AHEAD = 121  # RFC 8599 5.6.1.1 wants more than 120
WEB_PUSH = "webpush"  # the one whose phones need a key of ours
_PNS = re.compile(rb'\+sip\.pns[ \t]*=[ \t]*"([^"]*)"', re.IGNORECASE)
_NAME = re.compile(r"[\w.!%*+'~-]{1,64}", re.ASCII)  # what may stand in quotes, and is not longer than a name


def left_to_others(message: Message) -> frozenset[str]:
    """The services by which another proxy on the way wakes this phone."""
    values = message.all("feature-caps")
    return frozenset(name.decode("utf-8", "replace") for value in values for name in _PNS.findall(value))


class PushOffer:
    """What is offered to phones that register."""

    def __init__(self, catalogue: Catalogue, purr: Purr | None, settings: WakingSettings) -> None:
        self._catalogue = catalogue
        self._purr = purr
        self._ahead = max(LEAST_AHEAD, int(settings.wakeup_before) + EARLIER)

    def check(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        """Those that are to be told what there is. Raises Refused 555 for a push service that is not set up;
        but a node that has none at all lets everybody register, and promises nothing. So does one whose
        credentials for the app are broken: phones are to be there when they have been mended."""
        told = []
        for contact in wanted:
            provider = contact.push.get("pn-provider")
            if provider is None or not contact.ttl:
                continue
            if not provider or not contact.push.get("pn-prid") or self._can(provider, contact):
                told.append(contact)
            elif self._catalogue.offers() and not self._configured(provider, contact):
                raise Refused(555, "Push Notification Service Not Supported")
        return told

    def _can(self, provider: str, contact: Wanted) -> bool:
        app = app_of(provider, contact.push.get("pn-param", ""))
        return bool(_NAME.fullmatch(provider)) and not self._catalogue.supports(provider, app)

    def _configured(self, provider: str, contact: Wanted) -> bool:
        return self._catalogue.configured(provider, app_of(provider, contact.push.get("pn-param", "")))

    def lines(self, aor: str, told: Sequence[Wanted], others: frozenset[str] = frozenset()) -> bytes:
        """Feature-Caps of the 200 for what `check` left; without the services that `others` have told of."""
        lines = []
        for contact in told:
            asked = contact.push["pn-provider"]
            for name, vapid in self._services(asked, bool(contact.push.get("pn-prid"))):
                if name not in others:
                    lines.append(self._line(aor, contact, name, vapid))
        return "".join(dict.fromkeys(lines)).encode()

    def _services(self, provider: str, registers: bool) -> list[tuple[str, str]]:
        """Name and VAPID key of those that a Contact may use: the one that it registers, which need not be
        among the offers (a webhook takes any name), or those that it asks for."""
        if registers and provider and provider != WEB_PUSH:
            return [(provider, "")]
        offers = [(offer.provider, offer.vapid) for offer in self._catalogue.offers()]
        if not provider:
            return offers
        return [offer for offer in offers if offer[0] == provider] or [(provider, "")][:registers]

    def _line(self, aor: str, contact: Wanted, name: str, vapid: str) -> str:
        line = f'Feature-Caps: *;+sip.pns="{name}"'
        if vapid:
            line += f';+sip.vapid="{vapid}"'
        if not contact.prid:
            return line + "\r\n"
        if contact.refreshes and contact.ttl > 2 * self._ahead:
            line += f';+sip.pnsreg="{self._ahead}"'
        if self._purr is not None and "pn-purr" in contact.push:
            line += f';+sip.pnspurr="{self._purr.make(aor, contact.key)}"'
        return line + "\r\n"
