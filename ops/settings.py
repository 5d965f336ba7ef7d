"""The whole configuration: the sections of all rooms in one record, in the order of the file."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

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
    """Every section of the configuration file."""

    node: NodeSettings = NodeSettings()
    transport: TransportSettings = TransportSettings()
    tls: TlsSettings = TlsSettings()
    auth: AuthSettings = AuthSettings()
    registrar: RegistrarSettings = RegistrarSettings()
    routing: RoutingSettings = RoutingSettings()
    limits: LimitsSettings = LimitsSettings()
    redis: RedisSettings = RedisSettings()
    etcd: EtcdSettings = EtcdSettings()
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
            limits=self.limits,
        )
