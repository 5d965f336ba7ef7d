"""What a node says when it serves: what to type into a phone, and where to look."""

from pathlib import Path

from node.transport.address import parse_listen
from ops.config.problem import masked
from ops.listen import bracketed, is_loopback
from ops.place import admin_socket
from ops.settings import Settings
from ops.version import version_text


def banner(settings: Settings, trust: Path | None, joinable: bool) -> str:
    """A few lines. `trust`: file of the development CA if that is in use; `joinable`: our own stores."""
    node = settings.node
    domain = next((name for name in node.domains if name != "*"), "any.domain")
    lines = [
        f"{version_text()}",
        f"Node {node.name} serves. In a phone:",
        f"  account  sip:alice@{bracketed(domain)}   (any user name, no password)",
        *(f"  proxy    {proxy(text, trust)}" for text in node.listen),
        openness(settings),
        "Look at it with: clarion status, clarion registrations",
        f"  socket   {admin_socket(settings)}",
        f"  data     {node.data}",
        f"  stores   {masked(settings.redis.url)}, {', '.join(settings.etcd.endpoints)}",
    ]
    if joinable:
        lines.append(f"A second node beside it: clarion serve --join {node.data}")
    return "\n".join(lines)


def proxy(listen: str, trust: Path | None) -> str:
    """A listening address as a phone wants it."""
    transport, host, port = parse_listen(listen)
    uri = f"sip:{bracketed(host)}:{port};transport={transport}"
    return f"{uri}   (trust {trust})" if transport == "tls" and trust else uri


def exposed(settings: Settings) -> list[str]:
    """Listening addresses beyond loopback in open mode: who reaches them may register as anybody."""
    return [text for text in settings.node.listen if settings.auth.mode == "open" and not is_loopback(text)]


def openness(settings: Settings) -> str:
    """What open mode means here."""
    if exposed(settings):
        return "Mode open: anybody who can reach this host may register any user name."
    return (
        "Mode open: any user name may register, so it listens on loopback only ([node] listen changes that)."
    )
