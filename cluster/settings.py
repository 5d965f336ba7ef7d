"""What an operator can set about the shared state: sections `[redis]` and `[etcd]`.

Every field carries its description, from which the reference page is generated. Durations are seconds.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class RedisSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[redis]`: where bindings and everything else that the nodes share live."""

    url: Annotated[
        str,
        Meta(
            description="Where the store is: `redis://host:port/db`, `rediss://…` (TLS), "
            "`sentinel://host:port,host:port/master`, `cluster://host:port,host:port`, or "
            "`embedded` for a private child process."
        ),
    ] = "embedded"
    username: Annotated[str, Meta(description="ACL user; empty for the default user.")] = ""
    password: Annotated[str, Meta(description="Password; empty for none. Wins over one in `url`.")] = ""
    sentinel_username: Annotated[str, Meta(description="ACL user at the sentinels.")] = ""
    sentinel_password: Annotated[str, Meta(description="Password at the sentinels.")] = ""
    ca: Annotated[
        str, Meta(description="File of the CA that signed the server's certificate; empty for the system's.")
    ] = ""
    cert: Annotated[str, Meta(description="Client certificate file (PEM), for servers that ask for one.")] = (
        ""
    )
    key: Annotated[str, Meta(description="Private key file (PEM) of `cert`.")] = ""
    timeout: Annotated[
        float,
        Meta(gt=0, le=10, description="Longest wait in seconds for an answer; then the request gets a 503."),
    ] = 1.5
    replicas: Annotated[
        int,
        Meta(
            ge=0,
            le=16,
            description="Replicas that must hold a registration before it is answered 200 (`WAIT`).",
        ),
    ] = 0
    prefix: Annotated[
        str, Meta(description="Start of every key, so that two systems can share one server.")
    ] = "clarion"
    cache_records: Annotated[
        int, Meta(ge=0, description="Addresses of record kept in this node's read cache; 0 for no cache.")
    ] = 200_000


class EtcdSettings(msgspec.Struct, kw_only=True, frozen=True):
    """Section `[etcd]`: where the members of the cluster know each other from."""

    endpoints: Annotated[
        tuple[str, ...] | Literal["embedded"],
        Meta(
            description="Client URLs of the etcd members, `http://host:2379` or `https://…`; or `embedded` "
            "for a private child process."
        ),
    ] = "embedded"
    username: Annotated[str, Meta(description="User; empty where etcd has no authentication.")] = ""
    password: Annotated[str, Meta(description="Password of the user.")] = ""
    ca: Annotated[
        str, Meta(description="File of the CA that signed the servers' certificates; empty for the system's.")
    ] = ""
    cert: Annotated[str, Meta(description="Client certificate file (PEM), for servers that ask for one.")] = (
        ""
    )
    key: Annotated[str, Meta(description="Private key file (PEM) of `cert`.")] = ""
    lease_ttl: Annotated[
        int,
        Meta(ge=2, le=3600, description="Seconds after which a node that fell silent counts as dead."),
    ] = 5
    timeout: Annotated[
        float, Meta(gt=0, le=30, description="Longest wait in seconds for an answer of one endpoint.")
    ] = 2.0
    prefix: Annotated[
        str, Meta(description="Start of every key, so that two systems can share one etcd.")
    ] = "/clarion/"
