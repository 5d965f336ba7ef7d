"""A taken port is one line that names option and remedy."""

import socket

import pytest

from ops.errors import StartError
from ops.listen import is_loopback, require_free, shifted


@pytest.mark.parametrize(("transport", "kind"), [("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)])
def test_a_taken_port(transport: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        text = f"{transport}:127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(StartError, match=rf"\[node\] listen: {text} is taken by another program; "):
            require_free([text], "[node] listen")
    require_free([text], "[node] listen")


def test_an_address_of_another_host() -> None:
    with pytest.raises(StartError, match="is no address of this host"):
        require_free(["udp:192.0.2.1:5060"], "[node] listen")


def test_addresses() -> None:
    assert shifted("tls:[::1]:5061", 100) == "tls:[::1]:5161"
    assert is_loopback("udp:127.9.9.9:5060")
    assert is_loopback("tcp:[::1]:5060")
    assert not is_loopback("udp:0.0.0.0:5060")
