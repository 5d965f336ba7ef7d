"""All push services that are configured, and which of them a push goes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import msgspec

from cluster.push.credentials.watched import CredentialError
from cluster.push.providers.apns import Apns
from cluster.push.providers.fcm import Fcm
from cluster.push.providers.provider import Provider, Warned
from cluster.push.providers.web_push import WebPush
from cluster.push.providers.webhook import Webhook
from cluster.push.providers.wns import Wns
from cluster.push.settings import ProviderSettings


class Offer(msgspec.Struct, frozen=True):
    """A service that phones can be told of (RFC 8599 4.1.1)."""

    provider: str  # a value of +sip.pns
    vapid: str = ""  # a value of +sip.vapid


class Catalogue:
    """Raises nothing: a key that cannot be read shows in `supports` and `warnings`."""

    def __init__(
        self,
        settings: ProviderSettings,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        push = settings.push
        self._settings = settings
        self._web_push = WebPush(settings.webpush, push, clock)
        self._webhook = Webhook(settings.webhook, push)
        self._apns = Apns(settings.apns, push, clock, wall)
        self._fcm, self._wns = Fcm(settings.fcm, push, clock), Wns(settings.wns, push)
        self._all: tuple[Provider, ...] = (self._apns, self._fcm, self._wns, self._web_push, self._webhook)
        self._named: dict[str, Provider] = {name: one for one in self._all for name in one.names}
        self._set_up = {  # names of services of which anything at all is configured
            *(self._apns.names if settings.apns else ()),
            *(self._fcm.names if settings.fcm else ()),
            *(self._wns.names if settings.wns else ()),
            *(self._web_push.names if settings.webpush.key else ()),
            *(self._webhook.names if settings.webhook.url else ()),
        }
        self.providers: Mapping[str, Provider] = _ByName(self)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._named)

    def of(self, provider: str) -> Provider | None:
        """Who sends pushes of that name. The webhook takes those that it is given by name, and those that no
        other service is configured for if it takes all."""
        named = self._named.get(provider)
        if provider in self._set_up:
            return named
        webhook = self._settings.webhook
        if provider and webhook.url and "*" in webhook.providers:
            return self._webhook
        return named

    def supports(self, provider: str, app: str) -> str:
        """ "" if pushes for that app can be sent; else why not, with the remedy."""
        if not self._settings.push.enabled:
            return "[push] enabled is false: set it to true to send pushes"
        serving = self.of(provider)
        if serving is not None:
            return serving.supports(provider, app)
        if not provider:
            return (
                "the Contact names no push service: pn-provider must be apns, apns.dev, fcm, wns or webpush"
            )
        return (
            f'there is no push service "{provider}": pn-provider must be apns, apns.dev, fcm, wns or '
            "webpush; [webhook] url takes all others"
        )

    def configured(self, provider: str, app: str) -> bool:
        """Whether the operator has set this app up, though its credentials may be broken just now."""
        serving = self.of(provider)
        if serving is None or not self._settings.push.enabled:
            return False
        if isinstance(serving, Apns | Fcm | Wns) and app in serving.apps:
            return True
        if serving is self._web_push:
            return bool(self._settings.webpush.key)
        return not serving.supports(provider, app)

    def offers(self) -> tuple[Offer, ...]:
        """The services by which at least one app can be reached now."""
        if not self._settings.push.enabled:
            return ()
        found = []
        for name in self._named:
            if name == "webpush" or name not in self._set_up:
                continue
            serving = self._named[name]
            apps = serving.apps if isinstance(serving, Apns | Fcm | Wns) else ("",)
            if name != "webhook" and any(not serving.supports(name, app) for app in apps):
                found.append(Offer(name))
        ours = self.of("webpush") is self._web_push
        if ours and not self._web_push.supports("webpush", ""):
            try:
                found.append(Offer("webpush", self._web_push.vapid()))
            except CredentialError:
                pass
        return tuple(found)

    def warnings(self, now: float) -> list[Warned]:
        """All that is wrong with the credentials, or will be within 30 days. `now` is seconds since 1970."""
        return [warned for one in self._all for warned in one.warnings(now)]

    def reload(self) -> None:
        """Reads keys and certificates again where their files have changed."""
        for one in self._all:
            one.reload()


class _ByName(Mapping[str, Provider]):
    """What `Catalogue.of` says. Its keys are the well-known names; a webhook may serve more."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __getitem__(self, name: str) -> Provider:
        found = self._catalogue.of(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalogue.names)

    def __len__(self) -> int:
        return len(self._catalogue.names)


def check(settings: ProviderSettings) -> list[Warned]:
    """Reads every key and certificate, and says what is wrong with them. For use before a start."""
    return Catalogue(settings).warnings(time.time())
