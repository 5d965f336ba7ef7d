"""What an operator can set about one SIP node.

Sections `[node]`, `[transport]`, `[tls]`, `[auth]`, `[registrar]`, `[routing]` and `[limits]`. Every field
carries its description, from which the reference page is generated. Durations are seconds, sizes are bytes.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cluster.messages.settings import MessagesSettings


class NodeSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[node]`: who this node is and where it listens."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$|^$",
            description="Name of this node, unique in the cluster; empty for the host name.",
        ),
    ] = ""
    domains: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="Domains whose users register here; `*` for any domain."),
    ] = ("localhost", "127.0.0.1", "::1")
    listen: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            description="Where phones connect: `udp:`, `tcp:` or `tls:` with an address and a port, like "
            "`udp:192.0.2.1:5060` or `tls:[2001:db8::1]:5061`.",
        ),
    ] = ("udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "tls:127.0.0.1:5061")
    advertise: Annotated[
        str,
        Meta(
            description="Address or name by which phones reach this node, shown in Via, Record-Route and "
            "Path instead of the listening address, `host` or `host:port`; "
            "empty for the listening address itself."
        ),
    ] = ""
    internal: Annotated[
        str,
        Meta(
            description="Where the other nodes reach this one, like `tcp:10.0.0.1:5070`. "
            "Only nodes may connect there. Empty for a node that stays alone."
        ),
    ] = "tcp:127.0.0.1:5070"
    data: Annotated[
        str,
        Meta(description="Folder for what this node keeps: embedded stores, development CA, admin socket."),
    ] = "clarion-data"
    admin: Annotated[
        str, Meta(description="Path of the local admin socket; empty for `admin.sock` in the data folder.")
    ] = ""
    drain_timeout: Annotated[
        float,
        Meta(
            ge=0, le=86400, description="Longest time in seconds that a stop waits for transactions to end."
        ),
    ] = 35.0


class TransportSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[transport]`: UDP, TCP and TLS below SIP."""

    udp_mtu: Annotated[
        int,
        Meta(
            ge=576, le=65535, description="A request longer than this many bytes goes by TCP instead of UDP."
        ),
    ] = 1300
    udp_receive_buffer: Annotated[
        int, Meta(ge=65536, description="Kernel receive buffer in bytes of each UDP socket.")
    ] = 4_194_304
    connect_timeout: Annotated[
        float, Meta(gt=0, le=120, description="Longest time in seconds to establish an outgoing connection.")
    ] = 4.0
    handshake_timeout: Annotated[
        float,
        Meta(gt=0, le=120, description="Longest time in seconds that a peer may take for its TLS handshake."),
    ] = 10.0
    message_timeout: Annotated[
        float,
        Meta(
            gt=0, le=3600, description="Longest time in seconds between the first and last byte of a message."
        ),
    ] = 32.0
    idle_timeout: Annotated[
        float,
        Meta(
            gt=0, le=86400, description="A connection without any traffic is closed after this many seconds."
        ),
    ] = 3600.0
    send_queue: Annotated[
        int,
        Meta(ge=65536, description="Bytes waiting on one connection above which the connection is given up."),
    ] = 1_048_576
    dns_servers: Annotated[
        tuple[str, ...],
        Meta(description="DNS servers, `address` or `address:port`; none for those of the system."),
    ] = ()


class TlsSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[tls]`: certificates of the TLS listeners and of outgoing TLS connections."""

    cert: Annotated[
        str, Meta(description="Certificate chain file (PEM); empty for one made by the development CA.")
    ] = ""
    key: Annotated[
        str, Meta(description="Private key file (PEM) of `cert`; empty if it is in the same file.")
    ] = ""
    ca: Annotated[
        str,
        Meta(
            description="File of the CAs (PEM) that other servers must be signed by; empty for the system's."
        ),
    ] = ""
    verify_servers: Annotated[
        bool, Meta(description="Whether the certificates of servers that this node connects to are verified.")
    ] = True


class AuthSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[auth]`: who may register and call."""

    mode: Annotated[
        Literal["open"], Meta(description="`open`: any user name of the own domains, without a password.")
    ] = "open"


class RegistrarSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[registrar]`: RFC 3261 section 10 and its extensions."""

    min_expires: Annotated[
        int, Meta(ge=1, description="Shortest registration in seconds; a shorter one is refused with 423.")
    ] = 60
    max_expires: Annotated[
        int, Meta(ge=1, le=31_536_000, description="Longest registration in seconds; a longer one is cut.")
    ] = 86_400
    default_expires: Annotated[
        int, Meta(ge=1, le=31_536_000, description="Seconds for a registration that does not say how long.")
    ] = 600
    max_contacts: Annotated[
        int, Meta(ge=1, le=1000, description="Bindings of one address of record; beyond it the oldest goes.")
    ] = 12
    gruu: Annotated[
        bool, Meta(description="Whether phones that support it get a public GRUU (RFC 5627).")
    ] = True
    service_route: Annotated[
        tuple[str, ...],
        Meta(description="URIs of the Service-Route (RFC 3608) given to registered phones; none by default."),
    ] = ()
    static_file: Annotated[
        str,
        Meta(description="File of static registrations, one `AOR contact[,contact]` a line; empty for none."),
    ] = ""
    static_refresh: Annotated[
        float,
        Meta(
            ge=1, le=86400, description="Seconds after which the static file is read again (SIGHUP: at once)."
        ),
    ] = 600.0


class RoutingSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[routing]`: transactions and forking (RFC 3261 sections 16 and 17)."""

    no_global_decline: Annotated[
        bool,
        Meta(description="Whether a 6xx answer leaves the other branches ringing instead of ending them."),
    ] = False
    treat_decline_as_urgent: Annotated[
        bool,
        Meta(description="Whether a 603 Decline counts as urgent, like 401, 407, 415, 420, 484, 488, 606."),
    ] = False
    treat_all_as_urgent: Annotated[
        bool, Meta(description="Whether every failure of a branch counts as urgent.")
    ] = False
    call_fork_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="Life in seconds of a call that nobody answers; then 408.")
    ] = 90.0
    current_branches_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="Seconds that phones of one q value ring before those of the next join.",
        ),
    ] = 10.0
    urgent_timeout: Annotated[
        float,
        Meta(ge=0, le=60, description="Seconds that an urgent failure is held back while other phones ring."),
    ] = 5.0
    timer_c: Annotated[
        float,
        Meta(
            ge=60,
            le=3600,
            description="Timer C in seconds: a branch without news for that long is cancelled.",
        ),
    ] = 180.0
    t1: Annotated[
        float, Meta(gt=0, le=5, description="T1 in seconds: assumed round trip, first retransmission.")
    ] = 0.5
    t2: Annotated[
        float, Meta(gt=0, le=60, description="T2 in seconds: longest interval between retransmissions.")
    ] = 4.0
    t4: Annotated[
        float, Meta(gt=0, le=60, description="T4 in seconds: life of a message in the network.")
    ] = 5.0


class WakingSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[waking]`: when a sleeping phone is woken by a push (RFC 8599), and for how long."""

    timeout: Annotated[
        float,
        Meta(
            ge=0,
            le=30,
            description="Seconds that a phone has to answer before it is pushed; `pn-timeout` of its Contact "
            "goes first. A phone whose connection is gone is pushed at once.",
        ),
    ] = 0.0
    fork_late: Annotated[
        bool,
        Meta(description="Whether every call waits for phones that register late, not only woken ones."),
    ] = False
    request_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=30,
            description="Seconds that a request other than INVITE waits for a woken phone; a MESSAGE that is "
            "kept (`[messages]`) is answered without that.",
        ),
    ] = 20.0
    retransmission_count: Annotated[
        int, Meta(ge=0, le=20, description="How often the push of a call is repeated while nobody answers.")
    ] = 0
    retransmission_interval: Annotated[
        float, Meta(ge=1, le=60, description="Seconds between these repetitions.")
    ] = 5.0
    call_remote_push_interval: Annotated[
        float,
        Meta(
            ge=0,
            le=30,
            description="Seconds between repeated alerts of a call to an Apple phone without a VoIP token; "
            "0 for one alert only. `pn-call-remote-push-interval` of its Contact goes first.",
        ),
    ] = 0.0
    display_from_uri: Annotated[
        bool, Meta(description="Whether pushes show the caller's URI instead of the name.")
    ] = False
    message_summaries: Annotated[
        bool, Meta(description="Whether a NOTIFY of message-summary (voicemail) wakes the phone.")
    ] = True
    wakeup_before: Annotated[
        float,
        Meta(
            ge=10,
            le=86400,
            description="Seconds before its registration ends that a suspended app is woken to renew it.",
        ),
    ] = 180.0
    wakeup_repeat: Annotated[
        int, Meta(ge=0, le=10, description="How often that is repeated in the time left, when missed.")
    ] = 1
    refresh_all: Annotated[
        bool,
        Meta(
            description="Whether that is done for apps with Flexisip's older parameters (`pn-tok`) as well."
        ),
    ] = False


class LimitsSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[limits]`: every bound that protects the node."""

    max_message: Annotated[
        int,
        Meta(ge=1500, le=16_777_216, description="Longest SIP message in bytes on a connection; else 413."),
    ] = 262_144
    connections: Annotated[
        int, Meta(ge=1, description="Connections open at the same time; more are refused.")
    ] = 50_000
    connections_per_address: Annotated[
        int, Meta(ge=1, description="Connections open at the same time from one IP address.")
    ] = 5_000
    transactions: Annotated[
        int, Meta(ge=1, description="Server transactions at the same time; a request beyond gets a 503.")
    ] = 400_000
    branches: Annotated[
        int, Meta(ge=1, le=1000, description="Branches that one request may be forked to.")
    ] = 64
    retry_after: Annotated[
        int, Meta(ge=1, le=3600, description="Seconds told in the Retry-After of a 503.")
    ] = 5


class NodeRoomSettings(msgspec.Struct, kw_only=True, frozen=True):
    """All sections of this room, as the proxy core gets them."""

    node: NodeSettings = NodeSettings()
    transport: TransportSettings = TransportSettings()
    tls: TlsSettings = TlsSettings()
    auth: AuthSettings = AuthSettings()
    registrar: RegistrarSettings = RegistrarSettings()
    routing: RoutingSettings = RoutingSettings()
    waking: WakingSettings = WakingSettings()
    messages: MessagesSettings = MessagesSettings()
    limits: LimitsSettings = LimitsSettings()
