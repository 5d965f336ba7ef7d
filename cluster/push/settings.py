"""What an operator can set about push notifications: `[push]`, and one table for each app of each service.

An app's table carries its name: `[apns."org.example.app"]`. Durations are seconds.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class PushSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[push]`: queueing and sending of push notifications."""

    enabled: Annotated[bool, Meta(description="Whether this node queues and sends pushes at all.")] = True
    lease_ttl: Annotated[
        int,
        Meta(
            ge=1, le=60, description="Seconds after which another node dispatches for one that fell silent."
        ),
    ] = 2
    takeover: Annotated[
        float,
        Meta(
            ge=0.2,
            le=10,
            description="Seconds after which who queued a push sends it itself, where no dispatcher did.",
        ),
    ] = 1.0
    max_queue_size: Annotated[
        int, Meta(ge=10, description="Pushes that wait in each partition of the queue; more are refused.")
    ] = 10_000
    lane_size: Annotated[
        int, Meta(ge=1, description="Pushes of one app that a dispatcher holds at a time.")
    ] = 1000
    lane_concurrency: Annotated[
        int, Meta(ge=1, le=1000, description="Pushes of one app that are under way at a time.")
    ] = 100
    timeout: Annotated[
        float, Meta(gt=0, le=60, description="Longest wait in seconds for a provider's answer.")
    ] = 5.0
    proxy: Annotated[
        str,
        Meta(description="HTTP proxy for all pushes, `http://user:password@host:3128`; empty for none."),
    ] = ""
    ca: Annotated[
        str,
        Meta(description="File of CA certificates for the providers' servers; empty for the system's."),
    ] = ""


class ApnsApp(msgspec.Struct, kw_only=True, frozen=True):
    """One app at Apple, named by its bundle identifier: a token key (.p8) or a certificate."""

    team: Annotated[str, Meta(description="Team identifier, 10 letters and digits; for `key`.")] = ""
    key: Annotated[str, Meta(description="File of the token signing key (.p8).")] = ""
    key_id: Annotated[str, Meta(description="Identifier of `key`, 10 letters and digits.")] = ""
    cert: Annotated[str, Meta(description="Client certificate file (PEM), instead of `key`.")] = ""
    cert_key: Annotated[str, Meta(description="Private key file of `cert`; empty if `cert` holds it.")] = ""
    voip_cert: Annotated[
        str, Meta(description="Certificate of its own for VoIP pushes; empty to use `cert` for them.")
    ] = ""
    server: Annotated[str, Meta(description="Production service.")] = "https://api.push.apple.com"
    sandbox: Annotated[str, Meta(description="Service for `pn-provider=apns.dev`.")] = (
        "https://api.sandbox.push.apple.com"
    )
    badge: Annotated[bool, Meta(description="Whether alerts set the badge of the app to 1.")] = True


class FcmApp(msgspec.Struct, kw_only=True, frozen=True):
    """One Firebase project, named by its project number or identifier (`pn-param`)."""

    service_account: Annotated[str, Meta(description="Service account file (JSON) of the project.")] = ""
    server: Annotated[str, Meta(description="Firebase service.")] = "https://fcm.googleapis.com"
    token_server: Annotated[
        str, Meta(description="OAuth service; empty for the `token_uri` of the service account.")
    ] = ""


class WnsApp(msgspec.Struct, kw_only=True, frozen=True):
    """One Windows app, named by its package SID or by its Azure application identifier (`pn-param`)."""

    secret: Annotated[str, Meta(description="Application secret.")] = ""
    tenant: Annotated[
        str, Meta(description="Azure tenant identifier; empty for the login by package SID.")
    ] = ""
    token_server: Annotated[str, Meta(description="OAuth service; empty for Microsoft's.")] = ""
    hosts: Annotated[
        tuple[str, ...],
        Meta(description="Host names (ends of them) that a channel URL may have."),
    ] = (".notify.windows.com",)


class WebPushSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[webpush]`: Web Push (RFC 8030, 8291, 8292)."""

    key: Annotated[
        str, Meta(description="File of the VAPID private key (PEM, P-256); empty: no Web Push.")
    ] = ""
    subject: Annotated[
        str, Meta(description="Whom a push service may contact: `mailto:` or `https:` URI (RFC 8292 2.1).")
    ] = ""
    hosts: Annotated[
        tuple[str, ...],
        Meta(description="Host names (ends of them) that a subscription may have; `*` for any public one."),
    ] = ("*",)


class WebhookSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[webhook]`: pushes of all other providers as HTTP requests."""

    url: Annotated[
        str,
        Meta(
            description="URI with placeholders `$type $token $app-id $from-name $from-uri $from-tag $to-uri "
            "$call-id $event $sound $msgid $uid`; empty for none."
        ),
    ] = ""
    method: Annotated[Literal["GET", "POST"], Meta(description="A POST carries the message text.")] = "GET"
    providers: Annotated[
        tuple[str, ...],
        Meta(description="Values of `pn-provider` or `pn-type` that go here; `*` for all without a service."),
    ] = ("*",)


class ProviderSettings(msgspec.Struct, kw_only=True, frozen=True):
    """All that the providers need, as the push service gets it."""

    push: PushSettings = PushSettings()
    apns: dict[str, ApnsApp] = {}
    fcm: dict[str, FcmApp] = {}
    wns: dict[str, WnsApp] = {}
    webpush: WebPushSettings = WebPushSettings()
    webhook: WebhookSettings = WebhookSettings()
