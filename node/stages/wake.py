"""Whether a request has to wait for phones that sleep (RFC 8599 5.6); the pushes leave with its branches.

Within a dialog only a request whose Request-URI carries our pn-purr wakes the phone (RFC 8599 6): the app
asked for that when it put the parameter into its Contact.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cluster.errors import StoreUnavailable
from cluster.location.binding import Binding
from cluster.location.service import LocationService, Record
from node.fork.target import Target, device_of
from node.request import Request
from node.settings import WakingSettings
from node.sip.errors import ParseError
from node.sip.uri import parse_uri
from node.stages import Verdict
from node.waking.decision import event_of
from node.waking.purr import Purr
from node.waking.wait import Wait

IN_DIALOG_PATIENCE = 2.0  # seconds that an app in a dialog has, since it is most likely awake


class Wake:
    """Sets `request.wait`."""

    def __init__(
        self,
        locations: LocationService,
        target: Callable[[Binding], Target],
        purr: Purr | None,
        settings: WakingSettings,
        enabled: bool,
    ) -> None:
        """Without `enabled` nobody is woken, and calls wait for late registrations only where set so."""
        self._locations = locations
        self._target = target
        self._purr = purr
        self._settings = settings
        self._enabled = enabled

    @staticmethod
    def concerns(method: str) -> bool:
        """Everything that a phone answers."""
        return method not in ("ACK", "REGISTER", "CANCEL")

    def __call__(self, request: Request) -> Verdict | Awaitable[Verdict]:
        """Never answers."""
        if not self._enabled:
            return None
        if request.message.to_tag:
            if self._purr is not None and request.uri.find(b";pn-purr=") >= 0:
                return self._in_dialog(request, self._purr)
            return None
        groups = request.groups
        if groups is None or not request.aor:
            return None
        for group in groups:
            for target in group:
                binding = target.binding
                if binding is not None and binding.prid:
                    self._wait(request)
                    return None
        if self._settings.fork_late and request.invite:
            self._wait(request)
        return None

    def _wait(self, request: Request) -> None:
        event, _ = event_of(request.message, self._settings)
        if event is not None:
            request.wait = Wait(request.aor, event, _only(request.uri))

    def _in_dialog(self, request: Request, purr: Purr) -> Verdict | Awaitable[Verdict]:
        try:
            opened = purr.open(parse_uri(request.uri).params.get("pn-purr") or "")
        except ParseError:
            return None
        if opened is None:
            return None
        record = self._locations.cached(opened[0])
        if record is None:
            return self._fetch(request, *opened)
        self._named(request, record, opened[1])
        return None

    async def _fetch(self, request: Request, aor: str, device: str) -> Verdict:
        try:
            record = await self._locations.lookup(aor)
        except StoreUnavailable:
            return None  # it goes where its Route leads
        self._named(request, record, device)
        return None

    def _named(self, request: Request, record: Record, key: str) -> None:
        now_ms = self._locations.now_ms()
        for binding in record.bindings:
            if binding.key == key and binding.expires_at > now_ms:
                device = device_of(binding)
                request.aor = record.aor
                request.groups = [[self._target(binding)]]
                request.wait = Wait(record.aor, "refresh", _device(device), IN_DIALOG_PATIENCE)
                return


def _only(uri: bytes) -> Callable[[Binding], bool]:
    """Which late devices a request may reach: that of a GRUU, those by TLS for SIPS (RFC 5630 3.1)."""
    if uri.find(b";gr") >= 0 and "gr" in (params := parse_uri(uri).params):
        gr = params["gr"] or ""
        return lambda binding: binding.instance.strip("<>") == gr
    if uri[:5].lower() == b"sips:":
        return lambda binding: binding.uri.startswith("sips:") or "transport=tls" in binding.uri.lower()
    return _any


def _device(device: str) -> Callable[[Binding], bool]:
    return lambda binding: device_of(binding) == device


def _any(binding: Binding) -> bool:
    return True
