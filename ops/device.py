"""Names of devices as they may be shown: a device without an instance is known by its push token, and whoever
reads a whole token can push to the phone."""

SHOWN = 6  # characters of a token


def device_shown(key: str) -> str:
    """The key of a binding, its push token cut: `prid:apns:org.example.app:740f4a…`."""
    kind, _, identity = key.partition(":")
    if kind != "prid":
        return key
    # a token may be a URL with colons of its own: what follows provider and app is all token
    *head, token = identity.split(":", 2)
    return ":".join((kind, *head, cut(token)))


def cut(token: str) -> str:
    """The first characters of a push token."""
    return token if len(token) <= SHOWN else token[:SHOWN] + "…"
