"""Push services in REGISTER and its answer (RFC 8599 4 and 5.3).

A Contact with pn-provider and pn-prid registers a push address: 555 if that service is not set up here.
With pn-provider alone it asks which services there are. The 200 tells in Feature-Caps what can be used: the
service, the VAPID key of Web Push, how long before its end an app should renew its registration by itself
(+sip.pnsreg), and the reference that wakes the app within a dialog (+sip.pnspurr). Where a proxy before us
has told that it does all this, we leave it alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.registrar.contact import Refused, Wanted
from node.registrar.push import app_of
from node.settings import WakingSettings
from node.sip.codec import Message
from node.waking.purr import Purr
from node.waking.pushes import Catalogue

EARLIER = 60  # seconds that an app renews its registration before it would be woken for that
LEAST_AHEAD = 120  # RFC 8599 5.3.2


class PushOffer:
    """What is offered to phones that register."""

    def __init__(self, catalogue: Catalogue, purr: Purr | None, settings: WakingSettings) -> None:
        self._catalogue = catalogue
        self._purr = purr
        self._ahead = max(LEAST_AHEAD, int(settings.wakeup_before) + EARLIER)

    @staticmethod
    def is_others(message: Message) -> bool:
        """Whether another proxy on the way wakes this phone."""
        return any(value.lower().find(b"+sip.pns") >= 0 for value in message.all("feature-caps"))

    def check(self, wanted: Sequence[Wanted]) -> None:
        """Raises Refused 555 for a push service that cannot be used."""
        for contact in wanted:
            provider = contact.push.get("pn-provider", "")
            if not (provider and contact.prid and contact.ttl):
                continue
            missing = self._catalogue.supports(provider, app_of(provider, contact.push.get("pn-param", "")))
            if missing:
                raise Refused(555, "Push Notification Service Not Supported")

    def lines(self, aor: str, wanted: Sequence[Wanted]) -> bytes:
        """Feature-Caps of the 200."""
        lines = []
        for contact in wanted:
            if "pn-provider" not in contact.push or not contact.ttl:
                continue
            provider = contact.push["pn-provider"]
            for offered in self._catalogue.offers():
                if provider and provider != offered.provider:
                    continue
                line = f'Feature-Caps: *;+sip.pns="{offered.provider}"'
                if offered.vapid:
                    line += f';+sip.vapid="{offered.vapid}"'
                if contact.refreshes and contact.ttl > 2 * self._ahead:
                    line += f';+sip.pnsreg="{self._ahead}"'
                if self._purr is not None and contact.prid and "pn-purr" in contact.push:
                    line += f';+sip.pnspurr="{self._purr.make(aor, contact.key)}"'
                lines.append(line + "\r\n")
        return "".join(dict.fromkeys(lines)).encode()
