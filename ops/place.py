"""Who and where this node is: what the settings leave open, filled in before anything starts."""

import re
import socket
from pathlib import Path

from msgspec.structs import replace

from ops.config.load import Loaded
from ops.embedded import joined
from ops.errors import StartError
from ops.listen import refusal, shifted
from ops.settings import Settings

NODES_ON_ONE_HOST = 20
PORT_STEP = 100


def settle(loaded: Loaded, join: Path | None) -> Settings:
    """Effective settings: the node has a name and, with `join`, stores and ports beside another node.

    Raises StartError if there is no room beside it.
    """
    settings = loaded.settings
    if join is not None:
        settings = _beside(loaded, joined(settings, join), join)
    if not settings.node.name:
        settings = replace(settings, node=replace(settings.node, name=host_name()))
    return settings


def host_name() -> str:
    """The first label of the host's name, without signs that a node name may not have."""
    return re.sub(r"[^A-Za-z0-9-]", "", socket.gethostname().split(".")[0])[:60].strip("-") or "node"


def admin_socket(settings: Settings) -> Path:
    """Where the admin socket is."""
    return Path(settings.node.admin) if settings.node.admin else Path(settings.node.data) / "admin.sock"


def _beside(loaded: Loaded, settings: Settings, first: Path) -> Settings:
    """The first set of ports that is free, for what the operator did not set."""
    node = settings.node
    listen_given, internal_given = loaded.given("node", "listen"), loaded.given("node", "internal")
    for number in range(2, NODES_ON_ONE_HOST + 1):
        by = PORT_STEP * (number - 1)
        listen = node.listen if listen_given else tuple(shifted(text, by) for text in node.listen)
        internal = node.internal if internal_given or not node.internal else shifted(node.internal, by)
        wanted = ([] if listen_given else list(listen)) + (
            [] if internal_given or not internal else [internal]
        )
        if all(refusal(text) is None for text in wanted):
            break
    else:
        raise StartError("--join: no free ports beside the first node; set [node] listen and [node] internal")
    data = node.data if loaded.given("node", "data") else f"{str(first).rstrip('/')}-{number}"
    name = node.name or f"{host_name()}-{number}"
    return replace(settings, node=replace(node, listen=listen, internal=internal, data=data, name=name))
