"""What the floor below raises; whoever calls turns each into a SIP status or one log line."""

from __future__ import annotations


class StoreUnavailable(Exception):
    """Redis did not do what was asked: down, frozen, full, or refusing. A REGISTER gets 503 with Retry-After.

    `reason` is one sentence for the log. Whether the write happened is unknown.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreRefused(StoreUnavailable):
    """Redis answered with an error; `code` is its first word ("READONLY", "MOVED", "WRONGTYPE", ...)."""

    def __init__(self, reply: str) -> None:
        super().__init__(f"Redis answered: {reply}")
        self.reply = reply
        self.code = reply.partition(" ")[0]


class CoordinatorUnavailable(Exception):
    """No etcd endpoint did what was asked within its deadline. Calls go on; elections and joins wait."""


class CoordinatorRefused(CoordinatorUnavailable):
    """etcd answered with an error; `code` is the gRPC status number."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"etcd answered: {message} (code {code})")
        self.code = code
        self.message = message


class NameTaken(Exception):
    """Another living node holds the name of this one; the remedy is another `[node] name`."""

    def __init__(self, name: str, epoch: str, internal: str) -> None:
        super().__init__(
            f"[node] name {name!r} is held by a living node (epoch {epoch}, {internal or 'no address'}): "
            "give each node a name of its own, or stop the other one"
        )
        self.name = name


class BadAddress(ValueError):
    """An option of `[redis]` or `[etcd]` cannot be used; the text names the option and what was expected."""
