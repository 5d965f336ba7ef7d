"""Looking at listening addresses before the node opens them, so that a taken port is one clear line."""

import errno
import ipaddress
import socket
from collections.abc import Iterable

from node.transport.address import parse_listen
from ops.errors import StartError


def require_free(listen: Iterable[str], option: str) -> None:
    """Raises StartError naming the option, if one of these addresses cannot be listened on."""
    for text in listen:
        error = refusal(text)
        if error is not None:
            raise StartError(f"{option}: {text} {reason(error)}")


def refusal(text: str) -> OSError | None:
    """Why the operating system refuses to listen there; None where it does not."""
    transport, host, port = parse_listen(text)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(family, kind) as probe:
            if transport != "udp":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
            if transport != "udp":
                probe.listen(1)
    except OSError as error:
        return error
    return None


def reason(error: OSError) -> str:
    """What to tell the operator, with the remedy."""
    if error.errno == errno.EADDRINUSE:
        return "is taken by another program; end that one or choose another port"
    if error.errno == errno.EADDRNOTAVAIL:
        return "is no address of this host; choose one of its addresses"
    if error.errno == errno.EACCES:
        return "may not be listened on by this user; choose a port above 1023"
    return f"cannot be listened on: {error.strerror}"


def is_loopback(text: str) -> bool:
    """Whether a listening address can be reached from this host only."""
    return ipaddress.ip_address(parse_listen(text)[1]).is_loopback


def shifted(text: str, by: int) -> str:
    """The same address with its port moved, for a further node on this host."""
    transport, host, port = parse_listen(text)
    return f"{transport}:{bracketed(host)}:{port + by}"


def bracketed(host: str) -> str:
    """An IPv6 address in brackets, anything else as it is."""
    return f"[{host}]" if ":" in host else host
