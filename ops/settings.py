"""The whole configuration: the sections of all rooms in one record, in the order of the file."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cluster.collect.settings import StorageSettings
from cluster.messages.settings import MessagesSettings
from cluster.push.settings import (
    ApnsApp,
    FcmApp,
    ProviderSettings,
    PushSettings,
    WebhookSettings,
    WebPushSettings,
    WnsApp,
)
from cluster.settings import EtcdSettings, RedisSettings
from node.settings import (
    AuthSettings,
    LimitsSettings,
    NodeRoomSettings,
    NodeSettings,
    RegistrarSettings,
    RoutingSettings,
    TlsSettings,
    TransportSettings,
    WakingSettings,
)


class LogSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[log]`: what the node says about itself."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least important kind of log line that is written (to standard error)."),
    ] = "info"
    events: Annotated[
        str,
        Meta(description="File that gets one JSON line per event, or `stdout`; empty for none."),
    ] = ""


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """Every section of the configuration file; a `dict` is a table with a name, one for each app."""

    node: NodeSettings = NodeSettings()
    transport: TransportSettings = TransportSettings()
    tls: TlsSettings = TlsSettings()
    auth: AuthSettings = AuthSettings()
    registrar: RegistrarSettings = RegistrarSettings()
    routing: RoutingSettings = RoutingSettings()
    waking: WakingSettings = WakingSettings()
    messages: MessagesSettings = MessagesSettings()
    limits: LimitsSettings = LimitsSettings()
    redis: RedisSettings = RedisSettings()
    storage: StorageSettings = StorageSettings()
    etcd: EtcdSettings = EtcdSettings()
    push: PushSettings = PushSettings()
    apns: dict[str, ApnsApp] = {}
    fcm: dict[str, FcmApp] = {}
    wns: dict[str, WnsApp] = {}
    webpush: WebPushSettings = WebPushSettings()
    webhook: WebhookSettings = WebhookSettings()
    log: LogSettings = LogSettings()

    def room(self) -> NodeRoomSettings:
        """The sections that the SIP node reads."""
        return NodeRoomSettings(
            node=self.node,
            transport=self.transport,
            tls=self.tls,
            auth=self.auth,
            registrar=self.registrar,
            routing=self.routing,
            waking=self.waking,
            messages=self.messages,
            limits=self.limits,
        )

    def providers(self) -> ProviderSettings:
        """The sections that the push service reads."""
        return ProviderSettings(
            push=self.push,
            apns=self.apns,
            fcm=self.fcm,
            wns=self.wns,
            webpush=self.webpush,
            webhook=self.webhook,
        )
